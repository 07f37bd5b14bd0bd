// The patient's pages: the app on the phone, the next appointment without a network, times that run out, times to choose.
(() => {
  const base = document.body.dataset.base, slug = base.split("/")[2], NEXT = `salam:${slug}:next`;

  // -- the app --------------------------------------------------------------------------------------------------------
  if ("serviceWorker" in navigator) addEventListener("load", () => navigator.serviceWorker.register(`${base}/sw.js`).catch(() => {}));
  let install = null;
  const button = document.querySelector("#install button");
  addEventListener("beforeinstallprompt", event => {
    if (!button) return;
    event.preventDefault();
    install = event;
    document.getElementById("install").hidden = false;
  });
  button?.addEventListener("click", () => { install?.prompt(); document.getElementById("install").hidden = true; });

  // The worker keeps the next appointment of the answers that pass through it, and forgets it with the sign-out.
  let asked = 0;
  function keep() {
    if (!navigator.serviceWorker?.controller || !document.getElementById("now") || Date.now() - asked < 120000) return;
    asked = Date.now();
    fetch(`${base}/portal/next.json`, {redirect: "error"}).catch(() => { /* no network: what is kept stays */ });
  }
  keep();
  navigator.serviceWorker?.addEventListener("controllerchange", keep);
  document.addEventListener("htmx:after:swap", keep);
  async function forget(go) {
    navigator.serviceWorker?.controller?.postMessage("sign-out");
    try { await caches.delete(NEXT); } finally { go(); }
  }
  document.addEventListener("click", event => {
    const link = event.target.closest?.('a[href$="/oauth/logout"]');
    if (!link || !("caches" in window)) return;
    event.preventDefault();
    forget(() => { location.href = link.href; });
  });

  // -- times that run out ---------------------------------------------------------------------------------------------
  const plural = text => (text.match(/\{minutes\}/) ? text : `${text} {minutes}`);
  function count() {
    for (const element of document.querySelectorAll("[data-until]")) {
      const left = Math.ceil((Date.parse(element.dataset.until) - Date.now()) / 60000);
      const said = left > 0 ? plural(element.dataset.left).replace("{minutes}", left) : element.dataset.over;
      if (element.textContent !== said) element.textContent = said;
      if (left <= 0) for (const each of element.parentElement.querySelectorAll("form button")) each.disabled = true;
    }
  }
  count();
  setInterval(count, 10000);
  document.addEventListener("htmx:after:swap", count);

  // -- a time to choose -----------------------------------------------------------------------------------------------
  const times = document.getElementById("times"), chosen = document.getElementById("chosen");
  times?.addEventListener("click", event => {
    const time = event.target.closest('button[name="to"]');
    if (!time || !chosen) return;
    event.preventDefault();
    for (const each of times.querySelectorAll('button[name="to"]')) each.setAttribute("aria-pressed", String(each === time));
    chosen.elements.to.value = time.value;
    chosen.hidden = false;
    document.getElementById("chosen-words").textContent = time.dataset.words;
  });

  // -- notifications --------------------------------------------------------------------------------------------------
  const push = document.getElementById("push");
  if (push && "serviceWorker" in navigator && "PushManager" in window) notifications(push);
  async function notifications(box) {
    const {key, url, turnOn, turnOff, isOn, off, failed} = box.dataset, words = box.querySelector("[data-push-words]"), switcher = box.querySelector("button");
    const before = words.textContent;
    const registration = await navigator.serviceWorker.register(box.dataset.worker).catch(() => null);
    if (!registration) return;
    const draw = on => { switcher.textContent = on ? turnOff : turnOn; switcher.setAttribute("aria-pressed", String(on)); words.textContent = on ? isOn : before; };
    const say = text => window.salam.toast({text, kind: "warning"});
    const tell = values => fetch(url, {method: "POST", headers: {"X-CSRF": window.salam.token()}, body: new URLSearchParams(values)}).then(answer => { if (!answer.ok) throw new Error(String(answer.status)); });
    draw(Boolean(await registration.pushManager.getSubscription()));
    box.hidden = false;
    switcher.addEventListener("click", async () => {
      switcher.disabled = true;
      try {
        const known = await registration.pushManager.getSubscription();
        if (known) { await tell({off: "1", endpoint: known.endpoint}); await known.unsubscribe(); draw(false); return; }
        if (await Notification.requestPermission() !== "granted") { say(off); return; }
        const bytes = Uint8Array.from(atob((await (await fetch(key)).json()).key.replaceAll("-", "+").replaceAll("_", "/")), letter => letter.charCodeAt(0));
        const made = await registration.pushManager.subscribe({userVisibleOnly: true, applicationServerKey: bytes});
        const {keys} = made.toJSON();
        try { await tell({endpoint: made.endpoint, p256dh: keys.p256dh, auth: keys.auth}); } catch (error) { await made.unsubscribe(); throw error; }
        draw(true);
      } catch { say(failed); } finally { switcher.disabled = false; }
    });
  }
})();
