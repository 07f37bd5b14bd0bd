// The kiosk: one page for every language and every step, so that nothing has to be loaded when the network is gone.
(() => {
  const body = document.body, words = JSON.parse(body.dataset.words), one = selector => document.querySelector(selector), all = selector => [...document.querySelectorAll(selector)];
  const token = one("meta[name=csrf]")?.content ?? "", IDLE = 30, WARNED = 10, still = one(".still");
  let shown = JSON.parse(body.dataset.shown), language = shown.languages?.[0] ?? "fr", screen = "start", path = [], sending = null, keys = {}, idle = 0, offset = 0;
  const typed = {phone: "", birth: ""};
  delete body.dataset.words;
  delete body.dataset.shown;

  const say = (name, values = {}) => Object.entries(values).reduce((text, [mark, value]) => text.replaceAll(`{${mark}}`, value), words[language][name]);
  const clock = new Intl.DateTimeFormat("fr-u-nu-latn", {hour: "2-digit", minute: "2-digit", timeZone: "UTC"});
  const hour = moment => clock.format(new Date(moment.getTime() + shown.ahead * 60000));
  const speak = code => {
    language = words[code] ? code : "fr";
    document.documentElement.lang = language;
    document.documentElement.dir = language === "ar" ? "rtl" : "ltr";
    for (const each of all("[data-say]")) each.textContent = words[language][each.dataset.say];
    for (const each of all("[data-label]")) each.setAttribute("aria-label", words[language][each.dataset.label]);
    showQueues();
    showTyped();
  };

  // -- steps -----------------------------------------------------------------------------------------------------------
  const go = (name, {forget = false} = {}) => {
    if (name === "back") name = path.pop() ?? "start";
    else if (!forget && screen !== name && !["moment", "problem", "offline"].includes(screen)) path.push(screen);
    if (name === "start") reset();
    if (name === "phone" && screen !== "birth") typed.phone = "";
    if (name === "birth") typed.birth = "";
    screen = name;
    for (const each of all("[data-screen]")) each.hidden = each.dataset.screen !== name;
    showTyped();
    one(`[data-screen="${name}"] h1`)?.focus({preventScroll: true});
    scrollTo(0, 0);
    if (name === "scan") camera(); else scanner.close();
    alive();
  };
  const reset = () => {
    path = []; keys = {}; typed.phone = typed.birth = "";
    sending?.abort(); sending = null;
    still.close();
    clearTicket();
    speak(shown.languages?.[0] ?? "fr");
  };
  const camera = async () => {
    one(".camera").hidden = true;
    const on = await scanner.open(one(".camera video"));
    if (screen !== "scan") { scanner.close(); return; }
    one(".camera").hidden = !on;
    one(".camera-none").hidden = on;
    one(".scan-title").dataset.say = on ? "scan" : "scan_wedge";
    one(".scan-title").textContent = say(one(".scan-title").dataset.say);
  };

  // -- what is typed ---------------------------------------------------------------------------------------------------
  const date = () => {
    const [day, month, year] = [typed.birth.slice(0, 2), typed.birth.slice(2, 4), typed.birth.slice(4, 8)], made = new Date(Date.UTC(+year, month - 1, +day));
    const real = typed.birth.length === 8 && made.getUTCFullYear() === +year && made.getUTCMonth() === month - 1 && made.getUTCDate() === +day && made <= Date.now() && +year > 1900;
    return real ? `${year}-${month}-${day}` : "";
  };
  const showTyped = () => {
    one("#phone-shown").textContent = typed.phone.replace(/^(\+\d{3}|\d{2})(?=\d)/, "$1 ").replace(/(\d{2})(?=\d{2})/g, "$1 ").replace(/ +/g, " ");
    const fields = [[0, 2, "day"], [2, 4, "month"], [4, 8, "year"]];
    const shownDate = one("#birth-shown");
    shownDate.replaceChildren(...fields.flatMap(([from, to, name], index) => {
      const box = document.createElement("span");
      box.className = "date-part" + (typed.birth.length > from ? "" : " empty-part") + (typed.birth.length >= from && (typed.birth.length < to || to === 8) ? " here" : "");
      box.textContent = typed.birth.slice(from, to) || words[language][name];
      return index ? ["/", box] : [box];
    }));
    shownDate.setAttribute("aria-label", [typed.birth.slice(0, 2), typed.birth.slice(2, 4), typed.birth.slice(4)].filter(Boolean).join(" / ") || words[language].birth_hint);
    one('[data-needs="phone"]').disabled = typed.phone.replace(/\D/g, "").length < 8;
    one('[data-needs="birth"]').disabled = !date();
    one(".wrong").hidden = typed.birth.length < 8 || !!date();
  };
  const press = key => {
    if (!(screen in typed)) return;
    const most = screen === "phone" ? 16 : 8;
    if (key === "erase") typed[screen] = typed[screen].slice(0, -1);
    else if (/^\d$/.test(key) && typed[screen].length < most) typed[screen] += key;
    else if (key === "+" && screen === "phone" && !typed.phone) typed.phone = "+";
    showTyped();
  };

  // -- queues ----------------------------------------------------------------------------------------------------------
  const made = (tag, name, text) => { const found = document.createElement(tag); found.className = name; found.textContent = text; return found; };
  const showQueues = () => {
    const giving = (shown.queues ?? []).filter(queue => queue.gives), list = one(".queue-list");
    // The same button stays for a queue: a finger that is on it lets it go there.
    const before = new Map([...list.children].map(button => [button.dataset.queue, button]));
    for (const [name, button] of before) if (!giving.some(queue => queue.queue === name)) button.remove();
    giving.forEach((queue, index) => {
      const button = before.get(queue.queue) ?? made("button", "choice queue", "");
      button.type = "button"; button.dataset.queue = queue.queue;
      const range = queue.estimate && (queue.estimate.low ? say("range", queue.estimate) : say("range_soon", queue.estimate));
      const hint = made("span", "choice-hint", [say("waiting", {count: queue.waiting}), range ?? say("paused")].join(" · "));
      button.replaceChildren(...(queue.prefix ? [made("bdi", "letter", queue.prefix)] : []), made("bdi", "choice-title", queue.name), hint);
      if (list.children[index] !== button) list.insertBefore(button, list.children[index] ?? null);
    });
    one(".no-queue").hidden = giving.length > 0;
  };

  // -- a ticket --------------------------------------------------------------------------------------------------------
  const once = what => keys[what] ??= crypto.randomUUID?.() ?? [...crypto.getRandomValues(new Uint8Array(16))].map(byte => byte.toString(16).padStart(2, "0")).join("");
  const send = async said => {
    if (sending) return;
    const mine = sending = new AbortController(), limit = setTimeout(() => mine.abort(), 15000);
    // Whatever comes of it, what somebody typed about himself is not kept here.
    typed.phone = typed.birth = "";
    go("moment", {forget: true});
    try {
      const url = body.dataset.ticket + (body.dataset.device ? `?device=${encodeURIComponent(body.dataset.device)}` : "");
      const answer = await fetch(url, {
        method: "POST", signal: mine.signal, headers: {"Content-Type": "application/json", "X-CSRF": token},
        body: JSON.stringify({...said, language, key: once(JSON.stringify(said))}),
      });
      const found = await answer.json();
      if (mine !== sending) return;
      if (found.pair) { location.replace(found.pair); return; }
      if (found.problem) problem(found.problem, said);
      else if (found.earlyUntil) early(found);
      else ticket(found);
    } catch {
      if (mine !== sending) return;
      // Whether a ticket was given is not known here; the same key asks for the same one.
      problem("failed", said);
    } finally {
      clearTimeout(limit);
      if (mine === sending) sending = null;
    }
  };
  const problem = (kind, said) => {
    sending = null;
    if (kind === "unknown") keys = {};
    one(".problem-title").textContent = say(kind);
    one(".problem-hint").hidden = kind !== "unknown";
    one(".problem-hint").textContent = kind === "unknown" ? say("unknown_hint") : "";
    const again = one(".again");
    again.hidden = kind === "often";
    again.dataset.go = kind === "unknown" && said.phone ? "phone" : said.queue ? "queues" : "scan";
    go("problem", {forget: true});
    path = ["what"];
  };
  const early = found => {
    sending = null;
    one(".early-hint").textContent = say("early_hint", {time: "\u2066" + hour(new Date(found.earlyUntil)) + "\u2069"});
    go("early", {forget: true});
  };
  const state = found => {
    if (found.state === "called" || found.state === "serving") return found.desk ? say("called_desk", {desk: "\u2068" + found.desk + "\u2069"}) : say("called");
    if (found.state !== "waiting") return say("over");
    const range = found.estimate ? (found.estimate.low ? say("range", found.estimate) : say("range_soon", found.estimate)) : "";
    const place = found.position ? (found.position === 1 ? say("next") : say("position", {count: found.position - 1})) : "";
    return [place, range].filter(Boolean).join(" · ");
  };
  const ticket = found => {
    sending = null;
    one(".ticket-number").textContent = found.number;
    one(".ticket-queue bdi").textContent = found.queue;
    one(".ticket-state").textContent = state(found);
    one(".ticket-look").hidden = found.state !== "waiting";
    const image = one(".ticket-code img");
    one(".ticket-code").hidden = !found.qr;
    if (found.qr) image.src = found.qr;
    image.alt = say("follow");
    slip(found);
    go("ticket", {forget: true});
    one(".print").hidden = !shown.print;
    if (shown.print) setTimeout(() => print(), 200);
  };
  const slip = found => {
    one(".slip").className = `slip slip-${shown.print === 58 ? 58 : 80}`;
    one(".slip-number").textContent = found.number;
    one(".slip-queue").textContent = found.queue;
    one(".slip-state").textContent = state(found);
    one(".slip-follow").textContent = found.qr ? say("follow") : "";
    one(".slip-time").textContent = found.takenAt ? say("printed_at", {time: "\u2066" + hour(new Date(found.takenAt)) + "\u2069"}) : "";
    const image = one(".slip-code");
    image.hidden = !found.qr;
    if (found.qr) image.src = found.qr;
  };
  const clearTicket = () => {
    for (const name of [".ticket-number", ".ticket-queue bdi", ".ticket-state", ".slip-number", ".slip-queue", ".slip-state", ".slip-follow", ".slip-time", ".early-hint"]) one(name).textContent = "";
    for (const name of [".ticket-code img", ".slip-code"]) one(name).removeAttribute("src");
  };

  // -- nobody there ----------------------------------------------------------------------------------------------------
  const alive = () => { idle = 0; };
  const tellTime = () => { one(".hour").textContent = hour(new Date(Date.now() + offset)); };
  setInterval(() => {
    tellTime();
    if (["start", "offline", "moment"].includes(screen)) { idle = 0; return; }
    idle += 1;
    if (idle >= IDLE + WARNED) { still.close(); go("start", {forget: true}); return; }
    if (idle >= IDLE) {
      one(".still-hint").textContent = say("still_hint", {count: IDLE + WARNED - idle});
      if (!still.open) still.showModal();
    }
  }, 1000);
  for (const name of ["pointerdown", "keydown"]) addEventListener(name, alive, true);

  // -- what people do --------------------------------------------------------------------------------------------------
  const scanner = salamScanner(code => {
    if (["moment", "offline", "ticket"].includes(screen)) return;
    send({code: code.slice(0, 200)});
  });
  document.addEventListener("click", event => {
    const button = event.target.closest("button");
    // The question goes away with the click, not before it: else the click would fall on what lies beneath.
    if (still.open) still.close();
    if (!button || button.disabled || still.contains(button)) return;
    const {language: code, go: where, key, queue, send: what} = button.dataset;
    if (code) { speak(code); go("what"); }
    else if (where) go(where);
    else if (key) press(key);
    else if (queue) send({queue});
    else if (what === "person" && date()) send({phone: typed.phone, birthDate: date()});
    else if (button.classList.contains("print")) print();
  });
  document.addEventListener("keydown", event => {
    if (still.open || !(screen in typed)) return;
    if (event.key === "Backspace") press("erase");
    else if (/^[\d+]$/.test(event.key)) press(event.key);
    else if (event.key === "Enter" && event.target.tagName !== "BUTTON") one(`[data-screen="${screen}"] .main`).click();
  });
  document.addEventListener("contextmenu", event => event.preventDefault());

  // -- the server ------------------------------------------------------------------------------------------------------
  salamAsking({
    url: body.dataset.now + (body.dataset.device ? `?device=${encodeURIComponent(body.dataset.device)}` : ""),
    every: 3000,
    heard: data => {
      if (data.computedAt) offset = Date.parse(data.computedAt) - Date.now();
      if (data.timezone) { shown = {...data, languages: data.languages ?? []}; showQueues(); }
      if (data.version !== body.dataset.version && screen === "start") location.reload();
    },
    // A ticket that is shown stays: it was given.
    lost: () => { if (!["offline", "ticket", "early", "moment"].includes(screen)) go("offline", {forget: true}); },
    found: () => { if (screen === "offline") go("start", {forget: true}); },
  }).begin(shown.stamp);
  speak(language);
  tellTime();
  go("start", {forget: true});
})();
