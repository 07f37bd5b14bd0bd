// Where the app is opened: from a record, with `iss` and `launch`, or by itself, with `iss`.
import { authorize, clinicPages, sameMachine, trusted } from "./connect.js";
import { busy, message } from "./parts.js";
import { language, languageMenu, say } from "./texts.js";

const given = new URLSearchParams(location.search);

async function run() {
  languageMenu(document.getElementById("languages"));
  const iss = given.get("iss");
  if (!iss) return message(say("startTitle"), say("start"));
  if (!trusted(iss)) {
    const elsewhere = sameMachine(iss);
    return elsewhere ? location.replace(elsewhere) : message(say("foreignTitle"), say("foreign"));
  }
  busy(say("connecting"));
  await authorize(iss, given.get("launch"), language);
}

run().catch(() => {
  const iss = trusted(given.get("iss"));
  const again = () => authorize(iss, given.get("launch"), language).catch(() => {});
  message(say("offlineTitle"), say("failed"), [[say("again"), again], [say("backHome"), clinicPages(iss) || "./"]]);
});
