// Passkeys: asks the server for a challenge, the authenticator for an answer, and posts it with the form.
"use strict";

const toBytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
const toText = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");

async function options(form) {
  const answer = await fetch(form.dataset.options, {
    method: "POST",
    headers: { "X-CSRF": form.elements.csrf.value },
    redirect: "error",
  });
  if (!answer.ok) throw new Error("no challenge");
  const given = await answer.json();
  given.challenge = toBytes(given.challenge);
  if (given.user) given.user.id = toBytes(given.user.id);
  for (const list of ["excludeCredentials", "allowCredentials"])
    given[list] = (given[list] || []).map((known) => ({ ...known, id: toBytes(known.id) }));
  return given;
}

function asJson(credential) {
  const response = {};
  for (const name of ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"])
    if (credential.response[name]) response[name] = toText(credential.response[name]);
  return JSON.stringify({
    id: credential.id,
    rawId: toText(credential.rawId),
    type: credential.type,
    clientExtensionResults: credential.getClientExtensionResults(),
    response,
  });
}

async function use(form) {
  try {
    const publicKey = await options(form);
    const how = form.dataset.passkey === "create" ? "create" : "get";
    form.elements.credential.value = asJson(await navigator.credentials[how]({ publicKey }));
  } catch (error) {
    // Called off by the person: stay. Anything else: the server says that it did not work.
    if (error.name === "NotAllowedError" || error.name === "AbortError") return;
    form.elements.credential.value = "{}";
  }
  form.submit();
}

if (window.PublicKeyCredential && navigator.credentials) {
  for (const form of document.querySelectorAll("form[data-passkey]")) {
    form.hidden = false;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      use(form);
    });
  }
}
document.querySelector("[autofocus]")?.focus();
