// The app as a SMART client: who it is, what it asks for, and which server it talks to.
// https://hl7.org/fhir/smart-app-launch/STU2.2/app-launch.html
const { FHIR } = window;
const CLIENT_ID = "croissance";
const RIGHTS = "openid fhirUser online_access patient/Patient.rs patient/Observation.rs";
const KEPT = "croissance-iss";

// A public client names itself when it renews its token, for it has no secret to do so.
FHIR.oauth2.settings.refreshTokenWithClientId = true;

/** The FHIR base, if it is one of this site: the app sends nobody's data or codes elsewhere. */
export function trusted(iss) {
  return typeof iss === "string" && iss.startsWith(`${location.origin}/t/`) && /\/t\/[a-z0-9-]+\/fhir\/?$/.test(iss) ? iss : null;
}

/** Where the same page is under the name by which `iss` calls this machine (localhost or 127.0.0.1); null elsewhere. */
export function sameMachine(iss) {
  const names = ["localhost", "127.0.0.1"];
  try {
    const there = new URL(iss);
    const same = names.includes(there.hostname) && names.includes(location.hostname) && there.port === location.port;
    return same && there.protocol === location.protocol && there.origin !== location.origin
      ? `${there.origin}${location.pathname}${location.search}` : null;
  } catch {
    return null;
  }
}

/** Go to the server to sign in; `launch`: the value of an EHR launch, without which the person chooses a patient. */
export async function authorize(iss, launch, language) {
  sessionStorage.setItem(KEPT, iss);
  // The library lets the page's address override what it is told, and reads it once; only what is checked here counts.
  history.replaceState(null, "", location.pathname);
  const url = await FHIR.oauth2.authorize({
    clientId: CLIENT_ID, iss, launch: launch || undefined, redirectUri: new URL("./", location.href).href,
    scope: `${launch ? "launch" : "launch/patient"} ${RIGHTS}`, pkceMode: "required", noRedirect: true,
  });
  location.assign(`${url}&ui_locales=${language}`);
}

/** Begin anew, and choose a patient. On a page of its own: the library keeps the address of the page it was read on. */
export function restart(iss) {
  location.assign(`launch.html?iss=${encodeURIComponent(iss)}`);
}

/** The server that this tab was opened for. */
export function lastServer() {
  return trusted(sessionStorage.getItem(KEPT));
}

/** The pages of the clinic whose FHIR base it is. */
export function clinicPages(iss) {
  return iss ? iss.replace(/\/fhir\/?$/, "/ui/") : null;
}
