// The app itself: whose record it is, what was measured, and what the server answered, as an app's developer would look.
"use strict";
const show = (id, text) => (document.getElementById(id).textContent = text);

async function run() {
  const client = (window.client = await FHIR.oauth2.ready());
  show("response", JSON.stringify(client.state.tokenResponse, null, 2));
  if (client.patient.id) {
    const patient = await client.patient.read();
    const name = patient.name[0];
    show("banner", `${name.given.join(" ")} ${name.family}`);
    const found = await client.request(`Observation?patient=${client.patient.id}&_sort=-date`, { flat: true });
    for (const each of found)
      document.getElementById("observations").append(
        Object.assign(document.createElement("li"), { textContent: each.code.text }),
      );
  }
}
run().then(
  () => show("state", "ready"),
  (error) => show("state", `failed: ${error.message}`),
);
