// fhir-kit-client against the FHIR base in argv[2] with the token in FHIR_TOKEN. Prints what happened as one JSON line.
import { Client } from "fhir-kit-client";

const client = new Client({ baseUrl: process.argv[2], bearerToken: process.env.FHIR_TOKEN });
const word = process.argv[3];
const number = 23;
const said = {};

const patient = (more = {}) => ({
  resourceType: "Patient",
  identifier: [{ system: "urn:test", value: word }],
  name: [{ family: word }],
  ...more,
});

said.fhirVersion = (await client.capabilityStatement()).fhirVersion;

const created = await client.create({ resourceType: "Patient", body: patient() });
const read = await client.read({ resourceType: "Patient", id: created.id });
said.read = read.name[0].family;
const updated = await client.update({ resourceType: "Patient", id: created.id, body: { ...read, gender: "female" } });
said.updated = [updated.meta.versionId, updated.gender];
const older = await client.vread({ resourceType: "Patient", id: created.id, version: "1" });
said.older = older.gender ?? null;
const patched = await client.patch({
  resourceType: "Patient",
  id: created.id,
  jsonPatch: [{ op: "replace", path: "/gender", value: "other" }],
});
said.patched = patched.gender;
said.history = (await client.history({ resourceType: "Patient", id: created.id })).entry.length;

const subject = "urn:uuid:8b6a1c5e-3c0e-4a43-9c6e-0f8a3f1b2c4d";
const transaction = await client.transaction({
  body: {
    resourceType: "Bundle",
    type: "transaction",
    entry: [
      { fullUrl: subject, resource: patient(), request: { method: "POST", url: "Patient" } },
      ...Array.from({ length: number }, () => ({
        resource: {
          resourceType: "Observation",
          status: "final",
          code: { text: word },
          subject: { reference: subject },
        },
        request: { method: "POST", url: "Observation" },
      })),
    ],
  },
});
said.transaction = transaction.entry.map((entry) => entry.response.status.slice(0, 3));
const patientId = transaction.entry[0].response.location.split("/").at(-3);

const ids = [];
let page = await client.search({
  resourceType: "Observation",
  searchParams: { subject: `Patient/${patientId}`, _count: 5 },
});
said.pages = 0;
while (page) {
  said.pages += 1;
  ids.push(...page.entry.map((entry) => entry.resource.id));
  page = await client.nextPage({ bundle: page });
}
said.found = [ids.length, new Set(ids).size];

const posted = await client.search({
  resourceType: "Patient",
  searchParams: { identifier: `urn:test|${word}` },
  options: { postSearch: true },
});
said.posted = posted.entry.length;

const resolved = await client.resolve({ reference: `Patient/${patientId}` });
said.resolved = resolved.id === patientId;

await client.delete({ resourceType: "Patient", id: created.id });
said.deleted = await client.read({ resourceType: "Patient", id: created.id }).catch((error) => error.response.status);
said.refused = await client
  .create({ resourceType: "Patient", body: patient({ gender: "divers" }) })
  .catch((error) => error.response.data.issue[0].expression);

console.log(JSON.stringify(said));
