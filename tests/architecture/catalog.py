"""What the database's catalog must say of every table, so that no tenant sees another."""

from psycopg import Connection

APP, OWNER = "fhir_app", "fhir_owner"
# Tables that hold no tenant's data: the directory of tenants, and Alembic's own.
DIRECTORY = frozenset({"tenant", "alembic_version"})
_PREDICATE = "(tenant_id = app_tenant())"
# Tables in which tenant 0 is the site, whose rows every tenant reads and none writes.
SITE = frozenset({"concept", "concept_posting", "concept_system"})
_SITE_POLICIES = [
    (False, "*", "{0}", "((tenant_id = 0) OR (tenant_id = app_tenant()))", _PREDICATE),
    (True, "*", "{0}", _PREDICATE, _PREDICATE),
    (True, "r", "{0}", "(tenant_id = 0)", None),
]

_TABLES = """
    SELECT c.relname, c.relrowsecurity, c.relforcerowsecurity, pg_get_userbyid(c.relowner),
           EXISTS (SELECT 1 FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'tenant_id' AND a.attnotnull)
    FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') ORDER BY 1
"""
_POLICIES = """
    SELECT polname, polpermissive, polcmd::text, polroles::text, pg_get_expr(polqual, polrelid),
           pg_get_expr(polwithcheck, polrelid) FROM pg_policy WHERE polrelid = %s::regclass
"""
_INDEXES = """
    SELECT i.indexrelid::regclass::text, coalesce(a.attname, '') FROM pg_index i
    LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0] WHERE i.indrelid = %s::regclass
"""
# Referential actions bypass row-level security: both sides begin with the tenant, and none cascades.
_FOREIGN = """
    SELECT c.conname, a.attname::text, b.attname::text, c.confdeltype::text || c.confupdtype::text FROM pg_constraint c
    JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]
    JOIN pg_attribute b ON b.attrelid = c.confrelid AND b.attnum = c.confkey[1]
    WHERE c.contype = 'f' AND c.conrelid = %s::regclass
"""
# Under row-level security only leakproof comparisons become index conditions, so no key may have others. Exclusion
# constraints are no keys: they are checked against the rows of all tenants.
_UNSAFE = """
    SELECT DISTINCT i.indexrelid::regclass::text, o.opcname FROM pg_index i
    JOIN pg_class c ON c.oid = i.indrelid AND c.relnamespace = 'public'::regnamespace
    CROSS JOIN LATERAL unnest(i.indclass::oid[]) AS x(opc) JOIN pg_opclass o ON o.oid = x.opc
    JOIN pg_amop m ON m.amopfamily = o.opcfamily AND m.amoplefttype = o.opcintype AND m.amoprighttype = o.opcintype
    JOIN pg_operator op ON op.oid = m.amopopr JOIN pg_proc p ON p.oid = op.oprcode WHERE NOT p.proleakproof
    AND NOT i.indisexclusion
"""
_EXPRESSIONS = """
    SELECT i.indexrelid::regclass::text FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
    WHERE c.relnamespace = 'public'::regnamespace AND i.indexprs IS NOT NULL AND NOT i.indisexclusion
"""
_COLUMN_GRANTS = """
    SELECT attrelid::regclass::text, attname::text FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
    WHERE c.relnamespace = 'public'::regnamespace AND a.attacl IS NOT NULL
"""
_CREATE = "SELECT has_schema_privilege(%s, 'public', 'CREATE'), (SELECT count(*) FROM pg_default_acl)"
_VIEWS = """
    SELECT c.relname, coalesce(c.reloptions, '{}')::text[], c.relkind::text FROM pg_class c
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('v', 'm')
"""
_GRANTS = """
    SELECT c.relname, coalesce(r.rolname, 'PUBLIC'), x.privilege_type, c.relkind::text
    FROM pg_class c CROSS JOIN aclexplode(c.relacl) x LEFT JOIN pg_roles r ON r.oid = x.grantee
    WHERE c.relnamespace = 'public'::regnamespace AND x.grantee <> c.relowner
"""
_FUNCTIONS = "SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND prosecdef"
_ROLES = """
    SELECT rolname FROM pg_roles WHERE rolname = ANY(%s) AND (rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb)
"""
_MEMBERS = "SELECT m.member::regrole::text, m.roleid::regrole::text FROM pg_auth_members m WHERE m.member = %s::regrole"
_ALLOWED = {"r": {"SELECT", "INSERT", "UPDATE", "DELETE"}, "p": {"SELECT", "INSERT", "UPDATE", "DELETE"},
            "S": {"USAGE", "SELECT"}}  # fmt: skip
# Tables of which an import makes the statistics.
_KEPT = frozenset({"concept", "concept_posting"})


def faults(db: Connection) -> list[str]:
    """Everything in the catalog that breaks the pattern, in words; empty when tenants are kept apart."""
    found = []
    for name, enabled, forced, owner, has_tenant in db.execute(_TABLES).fetchall():
        if owner != OWNER:
            found.append(f"{name}: owned by {owner}")
        if name in DIRECTORY:
            continue
        if not has_tenant:
            found.append(f"{name}: no column tenant_id NOT NULL")
            continue
        if not (enabled and forced):
            found.append(f"{name}: row-level security is not enabled and forced")
        found += _policy_faults(db, name) + _key_faults(db, name)
    return found + _index_faults(db) + _view_faults(db) + _right_faults(db)


def _policy_faults(db: Connection, table: str) -> list[str]:
    found = []
    policies = db.execute(_POLICIES, [f'public."{table}"']).fetchall()
    if table in SITE:
        right = sorted((policy[1:] for policy in policies), key=lambda policy: policy[:2]) == _SITE_POLICIES
        return [] if right else [f"{table}: its policies are not those of the site's content"]
    if sorted(policy[1] for policy in policies) != [False, True]:
        found.append(f"{table}: wants one permissive and one restrictive policy, has {len(policies)}")
    for name, _, command, roles, using, check in policies:
        if (command, roles, using, check) != ("*", "{0}", _PREDICATE, _PREDICATE):
            found.append(f"{table}: policy {name} is not the tenant predicate for every command and role")
    return found


def _key_faults(db: Connection, table: str) -> list[str]:
    name = f'public."{table}"'
    found = [
        f"{table}: index {index} does not begin with tenant_id"
        for index, first in db.execute(_INDEXES, [name]).fetchall()
        if first != "tenant_id"
    ]
    for constraint, first, other, actions in db.execute(_FOREIGN, [name]).fetchall():
        if (first, other) != ("tenant_id", "tenant_id") or set(actions) - {"a", "r"}:
            found.append(f"{table}: foreign key {constraint} leaves the tenant or acts by itself")
    return found


def _index_faults(db: Connection) -> list[str]:
    found = [f"{index}: compares by {opclass}, which is not leakproof" for index, opclass in db.execute(_UNSAFE)]
    return found + [f"{index}: an index of an expression" for (index,) in db.execute(_EXPRESSIONS)]


def _view_faults(db: Connection) -> list[str]:
    found = []
    for name, options, kind in db.execute(_VIEWS).fetchall():
        if kind == "m":
            found.append(f"{name}: a materialized view has no row-level security")
        elif "security_invoker=true" not in options:
            found.append(f"{name}: a view without security_invoker")
    return found + [f"{name}: a function that is SECURITY DEFINER" for (name,) in db.execute(_FUNCTIONS).fetchall()]


def _right_faults(db: Connection) -> list[str]:
    found = []
    for name, role, right, kind in db.execute(_GRANTS).fetchall():
        allowed = _ALLOWED.get(kind, {"SELECT"}) | ({"MAINTAIN"} if name in _KEPT else set())
        if role != APP or right not in allowed:
            found.append(f"{name}: {right} granted to {role}")
    found += [f"{table}.{column}: a grant of its own" for table, column in db.execute(_COLUMN_GRANTS)]
    makes_tables, defaults = db.execute(_CREATE, [APP]).fetchone() or (True, 1)
    if makes_tables or defaults:
        found.append("the app may make tables, or later tables come with grants")
    for (role,) in db.execute(_ROLES, [[APP, OWNER]]).fetchall():
        found.append(f"role {role} has rights over roles, databases or row-level security")
    for member, role in db.execute(_MEMBERS, [APP]).fetchall():
        found.append(f"role {member} is a member of {role}")
    return found
