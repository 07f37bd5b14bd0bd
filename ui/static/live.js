// Tells the parts of the page when what they show has changed: <div data-live="queue:q1 type:Appointment">.
// One event stream for all of them; without it, the same events are asked for every five seconds.
(() => {
  const base = document.body.dataset.base;
  const all = () => [...document.querySelectorAll("[data-live]")];
  const topics = () => [...new Set(all().flatMap(element => element.dataset.live.split(/\s+/).filter(Boolean)))].sort();
  const due = new Map();
  let last = "", source = null, following = "", polling = null, failures = 0, stream = "";

  const tell = element => {
    if (due.has(element)) return;
    due.set(element, setTimeout(() => { due.delete(element); if (element.isConnected) htmx.trigger(element, "salam:live"); }, 300));
  };
  const changed = names => { for (const element of all()) if (element.dataset.live.split(/\s+/).some(name => names.includes(name))) tell(element); };
  const everything = () => all().forEach(tell);

  const query = extra => new URLSearchParams([...following.split(" ").map(name => ["topic", name]), ...extra, ...(last ? [["after", last]] : [])]);
  async function ticket() {
    const answer = await fetch(`${base}/live`, {method: "POST", headers: {"X-CSRF": window.salam.token()}});
    if (!answer.ok) throw new Error(String(answer.status));
    return answer.json();
  }
  async function poll() {
    try {
      const {ticket: secret, path} = await ticket();
      const answer = await fetch(`${path}?${query([["ticket", secret]])}`, {headers: {Accept: "application/json"}});
      if (!answer.ok) throw new Error(String(answer.status));
      const news = await answer.json();
      if (news.reset || !last) everything();
      changed(news.events.flatMap(event => event.topics));
      last = news.next;
      failures = 0;
    } catch { failures += 1; }
    // Now and then the stream is tried again.
    polling = setTimeout(failures || Math.random() > 0.1 ? poll : follow, Math.min(5000 * (1 + failures), 30000));
  }
  async function follow() {
    stop();
    following = topics().join(" ");
    if (!following) return;
    let given;
    try { given = await ticket(); } catch { polling = setTimeout(follow, 5000); return; }
    stream = `${given.hub}${given.path}`;
    source = new EventSource(`${stream}?${query([["ticket", given.ticket]])}`);
    const opened = setTimeout(() => { if (source?.readyState !== EventSource.OPEN) { stop(); poll(); } }, 6000);
    const keep = event => { last = event.lastEventId || last; };
    let began = false;
    for (const name of ["hello", "reset"]) source.addEventListener(name, event => { keep(event); clearTimeout(opened); began = true; everything(); });
    source.addEventListener("change", event => { keep(event); clearTimeout(opened); began = true; changed(JSON.parse(event.data).topics); });
    source.onopen = () => { clearTimeout(opened); failures = 0; };
    source.addEventListener("end", () => { stop(); polling = setTimeout(follow, 2000); });
    source.onerror = () => {
      if (source?.readyState !== EventSource.CLOSED) return;
      clearTimeout(opened);
      stop();
      // A stream that never began is not to be had here: then by asking.
      polling = setTimeout(began ? follow : poll, 2000);
    };
  }
  function stop() {
    source?.close();
    source = null;
    clearTimeout(polling);
  }
  const again = () => { if (topics().join(" ") !== following) { last = ""; follow(); } };

  document.addEventListener("htmx:after:swap", again);
  document.addEventListener("salam:refresh", everything);
  document.addEventListener("salam:online", () => { everything(); follow(); });
  // A sleeping laptop or phone has missed things, and its stream may be dead without knowing.
  let hidden = 0;
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) { hidden = Date.now(); return; }
    if (Date.now() - hidden > 20000) { everything(); follow(); }
  });
  addEventListener("pagehide", stop);
  addEventListener("pageshow", event => { if (event.persisted) { everything(); follow(); } });
  follow();
})();
