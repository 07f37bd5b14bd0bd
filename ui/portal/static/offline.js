// Without a network: what this phone keeps of the next appointment, and back as soon as there is one.
(() => {
  const base = document.body.dataset.base, own = location.pathname === `${base}/` || location.pathname.startsWith(`${base}/portal/`);
  const slug = base.split("/")[2];
  async function show() {
    if (!own || !("caches" in window)) return;
    const cache = await caches.open(`salam:${slug}:next`), kept = await cache.match(`${base}/portal/next.json`);
    const next = kept && await kept.json();
    if (!next?.day) return;
    if (next.until < Date.now()) { await caches.delete(`salam:${slug}:next`); return; }
    for (const element of document.querySelectorAll("[data-next]")) {
      if (element.tagName === "IMG") { if (next.code?.startsWith("data:image/png")) element.src = next.code; continue; }
      element.textContent = next[element.dataset.next] ?? "";
      if (element.tagName === "A") element.href = `tel:${(next.phone ?? "").replace(/[^+\d]/g, "")}`;
    }
    for (const row of document.querySelectorAll("[data-row]")) row.hidden = !next[row.dataset.row];
    document.getElementById("next").hidden = false;
  }
  const again = () => location.reload();
  document.getElementById("again").addEventListener("click", again);
  // That there is a network again is believed when the clinic answers; some networks come back without a word.
  const asked = () => fetch(`${base}/manifest.webmanifest`, {cache: "no-store"}).then(answer => { if (answer.ok) again(); }).catch(() => {});
  addEventListener("online", asked);
  setInterval(() => { if (!document.hidden) asked(); }, 4000);
  show();
})();
