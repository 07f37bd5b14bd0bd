// The service worker of one clinic's pages (SLUG): the page without a network, and notifications. Before this stands
// who it is for and what it keeps. Other clinics of the same host have their own, and their own caches.
const HOME = `/t/${SLUG}/ui/`, OFFLINE = `${HOME}offline`, NEXT = `salam:${SLUG}:next`, TICKET = `salam:${SLUG}:ticket`;
const APPOINTMENT = `${HOME}portal/next.json`;
const SHELL_CACHE = `salam:${SLUG}:shell:${VERSION}`;

self.addEventListener("install", event => event.waitUntil((async () => {
  const cache = await caches.open(SHELL_CACHE);
  await cache.addAll([OFFLINE, `${HOME}theme.css`, ...SHELL]);
  await self.skipWaiting();
})()));

self.addEventListener("activate", event => event.waitUntil((async () => {
  for (const name of await caches.keys()) if (name.startsWith(`salam:${SLUG}:shell:`) && name !== SHELL_CACHE) await caches.delete(name);
  await self.clients.claim();
})()));

self.addEventListener("fetch", event => {
  const {request} = event, url = new URL(request.url);
  if (request.method !== "GET" || url.origin !== location.origin) return;
  if (request.mode === "navigate") event.respondWith(page(request, url));
  else if (url.pathname === APPOINTMENT) event.respondWith(appointment(request));
  else if (SHELL.includes(url.pathname + url.search) || url.pathname === `${HOME}theme.css` || url.pathname.startsWith("/ui/static/portal/ticket.")) event.respondWith(fetch(request).catch(() => kept(request)));
});

const kept = async request => (await caches.match(request, {cacheName: SHELL_CACHE})) ?? Response.error();

async function page(request, url) {
  const isTicket = url.pathname.startsWith(`${HOME}ticket/`);
  try {
    const answer = await fetch(request);
    // Sent away to sign in: who was signed in is not any more, and what the phone kept for them goes.
    if (answer.type === "opaqueredirect" && url.pathname.startsWith(`${HOME}portal/`)) await forget();
    if (isTicket && answer.ok) await keepTicket(url, answer.clone());
    if (answer.ok) speak(answer.headers.get("Content-Language"));
    return answer;
  } catch {
    if (isTicket) {
      const known = await caches.match(url.pathname, {cacheName: TICKET, ignoreSearch: true});
      if (known) return known;
    }
    return (await caches.match(OFFLINE, {cacheName: SHELL_CACHE})) ?? Response.error();
  }
}

// What the phone keeps is the next appointment alone, until it is over or somebody signs out. Only this worker writes it:
// an answer that was on its way when they left is not kept.
let departures = 0;
const forget = () => { departures += 1; return caches.delete(NEXT); };
self.addEventListener("message", event => { if (event.data === "sign-out") event.waitUntil(forget()); });

async function appointment(request) {
  const before = departures, answer = await fetch(request);
  if (!answer.ok) return answer;
  if (!(await answer.clone().json()).day) await caches.delete(NEXT);
  else if (departures === before) {
    await (await caches.open(NEXT)).put(APPOINTMENT, answer.clone());
    if (departures !== before) await caches.delete(NEXT);
  }
  return answer;
}

// One ticket: number, place and minutes, with the hour at which it stood so. It names nobody.
async function keepTicket(url, answer) {
  await caches.delete(TICKET);
  const cache = await caches.open(TICKET);
  await cache.put(url.pathname, answer);
  const files = [...new Set((await (await cache.match(url.pathname)).text()).match(/\/ui\/static\/portal\/ticket\.(?:css|js)\?v=\w+/g) ?? [])];
  const shell = await caches.open(SHELL_CACHE);
  for (const file of files) if (!(await shell.match(file))) await shell.add(file).catch(() => {});
}

// The page without a network speaks the language of the last page that was seen.
let spoken = "";
async function speak(language) {
  if (!language || language === spoken) return;
  spoken = language;
  const cache = await caches.open(SHELL_CACHE), known = await cache.match(OFFLINE);
  if (known?.headers.get("Content-Language") !== language) await cache.add(OFFLINE).catch(() => { spoken = ""; });
}

self.addEventListener("push", event => {
  let told = {};
  try { told = event.data?.json() ?? {}; } catch { /* a push that is not ours says nothing */ }
  if (!told.title) return;
  event.waitUntil(self.registration.showNotification(told.title, {
    body: told.body, lang: told.lang, dir: told.lang === "ar" ? "rtl" : "ltr", tag: told.tag, renotify: Boolean(told.tag),
    icon: `${HOME}icon-192.png`, badge: `${HOME}icon-192.png`, data: {url: told.url},
  }));
});

self.addEventListener("notificationclick", event => {
  event.notification.close();
  const given = event.notification.data?.url, target = new URL(given || `${HOME}portal/`, location.origin);
  // A message leads to pages of this clinic on this host, and nowhere else.
  const safe = target.origin === location.origin && target.pathname.startsWith(`/t/${SLUG}/`) ? target.href : `${HOME}portal/`;
  event.waitUntil((async () => {
    for (const client of await self.clients.matchAll({type: "window"})) {
      if (new URL(client.url).pathname.startsWith(HOME)) { await client.focus(); return client.navigate(safe); }
    }
    return self.clients.openWindow(safe);
  })());
});
