// Asks the server again and again what is to be shown, for days: one request at a time, given up after four seconds, and
// at once again when the network or the machine wakes up.
window.salamAsking = ({url, every, heard, lost, found}) => {
  let stamp = "", timer = 0, failures = 0, broken = 0, since = Date.now(), asking = null;
  const ask = async () => {
    clearTimeout(timer);
    asking?.abort();
    const mine = asking = new AbortController();
    const limit = setTimeout(() => mine.abort(), 4000);
    try {
      const answer = await fetch(`${url}${url.includes("?") ? "&" : "?"}stamp=${encodeURIComponent(stamp)}`,
        {signal: mine.signal, cache: "no-store", credentials: "same-origin", redirect: "error"});
      if (answer.status === 401) { location.replace((await answer.json()).pair); return; }
      if (!answer.ok) throw new Error(answer.status);
      const data = await answer.json();
      if (mine !== asking) return;
      const gap = Date.now() - since;
      failures = 0; since = Date.now();
      found?.();
      const changed = data.stamp !== stamp;
      stamp = data.stamp;
      try { heard(data, changed, gap); broken = 0; } catch (error) {
        // The server answers, and this page cannot show it: a new one may.
        console.error(error);
        broken += 1; stamp = "";
        if (broken > 5) location.reload();
      }
    } catch {
      if (mine !== asking) return;
      failures += 1;
      if (failures > 1 || !navigator.onLine) lost?.(since);
    } finally {
      clearTimeout(limit);
      if (mine === asking) timer = setTimeout(ask, failures ? Math.min(1000 * failures, 3000) : every);
    }
  };
  addEventListener("online", ask);
  addEventListener("pageshow", event => { if (event.persisted) ask(); });
  document.addEventListener("visibilitychange", () => { if (!document.hidden && Date.now() - since > 2 * every) ask(); });
  return {begin: first => { stamp = first ?? ""; ask(); }, ask};
};
