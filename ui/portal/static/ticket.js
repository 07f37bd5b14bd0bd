// The page of a ticket: asks how it stands, says what changed, rings when it is the turn. Works on what it last knew.
(() => {
  const {url, worker} = document.body.dataset, $ = id => document.getElementById(id);
  const words = JSON.parse($("words").textContent);
  const language = document.documentElement.lang, plural = new Intl.PluralRules(language);
  const OVER = ["served", "cancelled", "expired", "no-show", "transferred"];
  let etag = document.body.dataset.etag, state = [...document.body.classList].find(c => c.startsWith("is-"))?.slice(3) ?? "";
  let at = Date.parse($("updated").dataset.at), timer = 0, failures = 0, position = null, gone = OVER.includes(state), asking = false;
  const title = document.title.split(" – ").pop();

  const clock = ms => { const d = new Date(ms); return `${String(d.getHours()).padStart(2, "0")}:${String(d.getMinutes()).padStart(2, "0")}`; };
  const fill = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
  const show = (id, text, inside) => {
    const element = $(id), target = inside ? element.querySelector(inside) : element;
    // What did not change is not said again by a screen reader.
    if (target.textContent !== text) target.textContent = text;
    element.hidden = !text;
  };
  const span = range => !range ? "" : range.high <= 0 ? words.soon : fill(range.low === range.high ? words.about : words.between, range);

  function draw(ticket) {
    const away = ticket.state === "called" && ticket.returnBy ? "absent" : ticket.state;
    const said = fill(words.states[away] ?? words.states.waiting, {time: ticket.returnBy ? clock(Date.parse(ticket.returnBy)) : ""});
    const ahead = ticket.position === null ? "" : ticket.position === 1 ? words.next
      : fill(words.ahead[plural.select(ticket.position - 1)] ?? words.ahead.other, {n: ticket.position - 1});
    $("number").textContent = ticket.number;
    $("state").textContent = said;
    show("desk", ticket.desk ?? "", "bdi");
    show("ahead", ahead);
    show("wait", span(ticket.range), "strong");
    $("place").hidden = !ahead;
    show("queue", ticket.state === "waiting" ? ticket.queue.message || words.queue[ticket.queue.state] || "" : "", "bdi");
    document.body.className = `ticket-page is-${ticket.state}`;
    document.title = `${ticket.state === "called" ? "🔔 " : ""}${ticket.number} ${ahead || said} – ${title}`;
    if (ticket.state === "called" && state !== "called") call(`${said} ${ticket.number}. ${ticket.desk ? `${$("desk").querySelector("span").textContent} ${ticket.desk}` : ""}`);
    state = ticket.state;
    position = ticket.position;
    if (state !== "waiting") $("ring")?.remove();
    if (OVER.includes(state)) { gone = true; $("back")?.remove(); }
  }

  // -- the turn -------------------------------------------------------------------------------------------------------
  let sound = null;
  function call(text) {
    $("turn").textContent = text;
    navigator.vibrate?.([400, 150, 400, 150, 400]);
    if (!sound) return;
    [0, .5, 1].forEach((after, n) => {
      const tone = sound.createOscillator(), volume = sound.createGain(), from = sound.currentTime + after;
      tone.frequency.value = n % 2 ? 660 : 880;
      volume.gain.setValueAtTime(.4, from);
      volume.gain.exponentialRampToValueAtTime(.001, from + .45);
      tone.connect(volume).connect(sound.destination);
      tone.start(from);
      tone.stop(from + .5);
    });
  }
  const ring = $("ring"), button = ring?.querySelector("button");
  if (ring && (window.AudioContext ?? window.webkitAudioContext)) {
    ring.hidden = false;
    button.addEventListener("click", () => {
      // Browsers let a page sound only after somebody touched it.
      if (sound) { sound.close(); sound = null; } else sound = new (window.AudioContext ?? window.webkitAudioContext)();
      button.setAttribute("aria-pressed", String(Boolean(sound)));
      button.textContent = sound ? words.ringing : words.sound;
      if (sound) navigator.wakeLock?.request("screen").catch(() => {});
    });
  }

  // -- asking ---------------------------------------------------------------------------------------------------------
  const fresh = () => { at = Date.now(); failures = 0; show("offline", ""); $("updated").textContent = fill(words.updated, {time: clock(at)}); };
  async function ask() {
    clearTimeout(timer);
    if (gone || asking) return;
    asking = true;
    try {
      const answer = await fetch(url, {headers: {Accept: "application/json", ...(etag ? {"If-None-Match": etag} : {})}, cache: "no-store", signal: AbortSignal.timeout?.(20000)});
      if (answer.status === 200) { etag = answer.headers.get("ETag") ?? ""; const ticket = await answer.json(); fresh(); draw(ticket); }
      else if (answer.status === 304) fresh();
      else if (answer.status === 404) { gone = true; show("offline", words.gone); }
      else throw new Error(String(answer.status));
    } catch {
      failures += 1;
      show("offline", fill(words.offline, {time: clock(at)}));
    }
    asking = false;
    next();
  }
  function next() {
    clearTimeout(timer);
    // Nobody looks: nothing is asked, unless it is to ring.
    if (gone || (document.hidden && !sound)) return;
    const calm = state === "waiting" && (position ?? 9) > 5 ? 15 : state === "waiting" && (position ?? 9) > 2 ? 10 : 5;
    timer = setTimeout(ask, 1000 * (failures ? Math.min(5 * 2 ** (failures - 1), 30) : calm));
  }
  addEventListener("online", ask);
  addEventListener("offline", () => show("offline", fill(words.offline, {time: clock(at)})));
  addEventListener("pageshow", event => { if (event.persisted) ask(); });
  document.addEventListener("visibilitychange", () => { if (!document.hidden) ask(); });
  if (navigator.onLine && Date.now() - at < 10000) next(); else ask();
  if (worker && "serviceWorker" in navigator && !gone) addEventListener("load", () => setTimeout(() => navigator.serviceWorker.register(worker).catch(() => {}), 1500));
})();
