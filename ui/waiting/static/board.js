// The board. What it says changes language every few seconds; what it shows stays where it is.
(() => {
  const body = document.body, words = JSON.parse(body.dataset.words), one = selector => document.querySelector(selector);
  const list = one(".list"), waiting = one(".waiting"), messages = one(".messages"), sound = one(".sound");
  const ROTATE = 8000, FRESH = 60000, KEPT = 60, SHIFT = 180000, DAY = 86400000, TOLD = "salam-board-told";
  let shown = JSON.parse(body.dataset.shown), languages = [], at = 0, offset = 0;
  const started = Date.now(), nodes = new Map(), cards = new Map();
  delete body.dataset.shown;
  delete body.dataset.words;

  // -- words: each line has the language and direction that it is in -----------------------------------------------------
  const language = () => languages[at % languages.length];
  const direction = code => code === "ar" ? "rtl" : "ltr";
  const put = (element, text, code) => {
    if (element.textContent === text && element.lang === code) return;
    element.textContent = text; element.lang = code; element.dir = direction(code);
  };
  const speakLabels = () => { for (const each of document.querySelectorAll("[data-say]")) put(each, words[language()][each.dataset.say], language()); };
  const settle = () => {
    const asked = (shown.languages ?? []).filter(code => words[code]);
    if (asked.join() === languages.join() && languages.length) return;
    languages = asked.length ? asked : ["fr"];
    document.documentElement.lang = languages[0];
    document.documentElement.dir = direction(languages[0]);
  };
  const rotate = () => {
    at += 1;
    speakLabels();
    tellTime();
    for (const queue of shown.queues) tellQueue(queue);
  };

  // -- the clock, by the server: televisions know neither the time nor the rules of zones -------------------------------------------------------------
  const now = () => new Date(Date.now() + offset);
  const formats = new Map();
  const format = (code, options) => {
    const key = code + JSON.stringify(options);
    if (!formats.has(key)) formats.set(key, new Intl.DateTimeFormat(`${code}-u-nu-latn`, {...options, timeZone: "UTC"}));
    return moment => formats.get(key).format(new Date(moment.getTime() + shown.ahead * 60000));
  };
  const hour = moment => format("fr", {hour: "2-digit", minute: "2-digit"})(moment);
  const tellTime = () => {
    one(".hour").textContent = hour(now());
    put(one(".date"), format(language(), {weekday: "long", day: "numeric", month: "long"})(now()), language());
  };

  // -- calls -----------------------------------------------------------------------------------------------------------
  const key = call => [call.queue, call.number, call.calledAt].join("|");
  const told = new Map();
  try { for (const [name, times] of JSON.parse(sessionStorage.getItem(TOLD) ?? "[]")) told.set(name, times); } catch { /* private window */ }
  const keep = () => {
    while (told.size > KEPT) told.delete(told.keys().next().value);
    try { sessionStorage.setItem(TOLD, JSON.stringify([...told])); } catch { /* private window */ }
  };
  const element = (tag, name, text) => {
    const made = document.createElement(tag);
    if (name) made.className = name;
    if (text !== undefined) made.textContent = text;
    return made;
  };
  const row = call => {
    const made = element("li", "call"), number = element("bdi", "number", call.number);
    made.append(number);
    made.classList.toggle("wide", call.number.length > 5);
    if (call.display) made.append(element("bdi", "who", call.display));
    if (call.desk) {
      made.append(one("#arrow").content.cloneNode(true));
      const desk = element("span", "desk"), plain = /^[\p{L}]{0,2}\d{0,3}$/u.test(call.desk);
      if (plain) { const label = element("span", "desk-label"); label.dataset.say = "desk"; desk.append(label); }
      desk.append(element("bdi", "desk-name", call.desk));
      const longest = Math.max(...call.desk.split(/\s+/).map(word => word.length));
      desk.classList.add(call.desk.length <= 4 ? "short" : longest <= 8 ? "middling" : "long");
      made.append(desk);
    }
    return made;
  };
  const showCalls = () => {
    // A call that is made again stands first again: `order` grows with each announcement.
    const latest = [...shown.calls].sort((a, b) => (order.get(key(b)) ?? 0) - (order.get(key(a)) ?? 0) || b.calledAt.localeCompare(a.calledAt)).slice(0, 5);
    const wanted = latest.map(call => `${key(call)}|${call.desk ?? ""}|${call.display ?? ""}`);
    for (const [name, node] of nodes) if (!wanted.includes(name)) { node.remove(); nodes.delete(name); }
    latest.forEach((call, index) => {
      const name = wanted[index];
      if (!nodes.has(name)) nodes.set(name, row(call));
      const node = nodes.get(name);
      if (list.children[index] !== node) list.insertBefore(node, list.children[index] ?? null);
      node.classList.toggle("latest", index === 0);
    });
    one(".calls").classList.toggle("empty-list", !latest.length);
    one(".nobody").hidden = latest.length > 0;
  };
  const order = new Map();
  let announced = 0;
  const said = (code, call) => {
    const plain = call.desk && /^[\p{L}]{0,2}\d{0,3}$/u.test(call.desk), text = words[code];
    const desk = call.desk && (plain ? text.desk_named.replace("{desk}", call.desk) : call.desk);
    const number = call.number.replace(/-0*/, " ");
    return (desk ? text.spoken_desk : text.spoken).replace("{number}", number).replace("{desk}", desk ?? "");
  };
  const announce = salamAnnounce({
    show: (call, on) => { for (const [name, node] of nodes) if (name.startsWith(`${key(call)}|`)) node.classList.toggle("calling", on); },
    spoken: call => languages.map(code => [code, said(code, call)]),
  });
  const listen = (first, gap) => {
    const moment = Date.parse(shown.computedAt);
    for (const call of [...shown.calls].reverse()) {
      const before = told.get(key(call)) ?? 0;
      if (before >= call.times) continue;
      told.set(key(call), call.times);
      // What happened while nobody could see it is shown, and not called out afterwards.
      const fresh = call.times === 1 ? moment - Date.parse(call.calledAt) < FRESH : gap < FRESH;
      if (first && !sessionOpen || !fresh || call.state === "served") continue;
      order.set(key(call), announced += 1);
      announce.add(call, {sound: shown.sound, speech: shown.speech});
    }
    for (const name of order.keys()) if (!shown.calls.some(call => key(call) === name)) order.delete(name);
    keep();
  };
  const sessionOpen = told.size > 0;

  // -- queues ----------------------------------------------------------------------------------------------------------
  const range = (queue, text) => {
    if (!queue.estimate) return "";
    const {low, high} = queue.estimate;
    return (low ? text.range : text.range_soon).replace("{low}", low).replace("{high}", high);
  };
  const tellQueue = queue => {
    const card = cards.get(queue.queue), code = language(), text = words[code];
    if (!card) return;
    card.count.textContent = queue.waiting;
    const open = queue.state === "open";
    put(card.state, open ? `${text.estimate} :`.replace(" :", code === "fr" ? " :" : ":") : text[queue.state], code);
    card.range.textContent = open ? range(queue, text) : "";
    card.line.dir = direction(code); card.line.lang = code;
    card.root.dataset.state = queue.state;
  };
  const showQueues = () => {
    const wanted = shown.queues.map(each => each.queue);
    for (const [name, card] of cards) if (!wanted.includes(name)) { card.root.remove(); cards.delete(name); }
    shown.queues.forEach((queue, index) => {
      if (!cards.has(queue.queue)) {
        const root = element("li", "queue"), name = element("p", "queue-name"), count = element("p", "count"), state = element("span", "state"), times = element("bdi", "range");
        const line = element("p", "line");
        line.append(state, " ", times);
        root.append(name, count, line);
        cards.set(queue.queue, {root, name, count, state, range: times, line});
      }
      const card = cards.get(queue.queue), title = `${queue.prefix ?? ""}|${queue.name}`;
      if (card.title !== title) {
        card.title = title;
        card.name.replaceChildren(...(queue.prefix ? [element("bdi", "letter", queue.prefix)] : []), element("bdi", "", queue.name));
      }
      if (waiting.children[index] !== card.root) waiting.insertBefore(card.root, waiting.children[index] ?? null);
      tellQueue(queue);
    });
    const said = shown.queues.filter(queue => queue.message).map(queue => (shown.queues.length > 1 && queue.prefix ? `${queue.prefix} · ` : "") + queue.message);
    messages.hidden = !said.length;
    messages.replaceChildren(...said.map(text => { const line = element("bdi", "message", text); line.dir = "auto"; return line; }));
  };

  // -- what the server says --------------------------------------------------------------------------------------------
  const show = (first, gap) => {
    settle();
    listen(first, gap);
    showCalls();
    showQueues();
    speakLabels();
    tellTime();
    one(".place bdi").textContent = shown.place ?? one(".place bdi").textContent;
  };
  const clock = text => { if (text) offset = Date.parse(text) - Date.now(); };
  const lost = one(".lost");
  const asking = salamAsking({
    url: body.dataset.now + (body.dataset.device ? `?device=${encodeURIComponent(body.dataset.device)}` : ""),
    every: 1000,
    heard: (data, changed, gap) => {
      clock(data.computedAt);
      if (data.timezone) { shown = {...data, languages: data.languages ?? []}; show(false, gap); }
      if (data.version !== body.dataset.version && !announce.busy) location.reload();
      // Once a day in the quiet of the night everything begins anew, whatever a browser may have piled up.
      if (Date.now() - started > DAY && now().getUTCHours() === 2 && !announce.busy) location.reload();
    },
    lost: since => { one(".lost-time").textContent = hour(new Date(since + offset)); if (lost.hidden) { lost.hidden = false; body.classList.add("stale"); } },
    found: () => { if (!lost.hidden) { lost.hidden = true; body.classList.remove("stale"); } },
  });

  // -- the screen itself -----------------------------------------------------------------------------------------------
  const stayAwake = () => navigator.wakeLock?.request("screen").catch(() => {});
  const offerSound = () => { sound.hidden = !(shown.sound || shown.speech) || announce.awake(); };
  const touched = () => { announce.awake(); stayAwake(); setTimeout(offerSound, 300); };
  addEventListener("click", touched);
  addEventListener("keydown", touched);
  document.addEventListener("visibilitychange", () => { if (!document.hidden) stayAwake(); });
  clock(shown.computedAt);
  show(true, 0);
  asking.begin(shown.stamp);
  offerSound();
  stayAwake();
  setInterval(rotate, ROTATE);
  setInterval(tellTime, 1000);
  // Nothing stands on the same points of the glass for days.
  let step = 0;
  setInterval(() => { step = (step + 1) % 8; body.dataset.shift = step; }, SHIFT);
})();
