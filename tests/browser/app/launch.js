// Where the app is opened: by a clinic's system with `iss` and `launch`, or by itself with `iss`. The query names the
// client and its scope, so that one page serves every test; `extra` is put after the authorization URL.
"use strict";
const given = new URLSearchParams(location.search);
const config = {
  clientId: given.get("client_id"),
  scope: given.get("scope"),
  redirectUri: "index.html",
  pkceMode: "required",
};
const key = sessionStorage.getItem("privateKey");
if (key) config.clientPrivateJwk = JSON.parse(key);

(async () => {
  if (!given.has("extra")) return FHIR.oauth2.authorize(config);
  const url = await FHIR.oauth2.authorize({ ...config, noRedirect: true });
  if (given.get("extra") !== "post") return location.assign(`${url}&${given.get("extra")}`);
  // The capability authorize-post: the same parameters as a form.
  const [action, query] = url.split("?");
  const form = Object.assign(document.createElement("form"), { method: "post", action });
  for (const [name, value] of new URLSearchParams(query))
    form.append(Object.assign(document.createElement("input"), { type: "hidden", name, value }));
  document.documentElement.append(form);
  form.submit();
})().catch((error) => {
  document.getElementById("problem").textContent = String(error);
});
