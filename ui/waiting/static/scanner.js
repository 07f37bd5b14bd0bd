// Codes come from a camera, where the browser can read them, or from a scanner that types like a keyboard and ends with
// Enter. Every code has a character that no telephone number has; a pause means that somebody begins anew.
window.salamScanner = found => {
  const PAUSE = 600;
  let typed = "", last = 0, stream = null, looking = 0;
  document.addEventListener("keydown", event => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    // The moment of the key, not of its turn: a busy page makes no pause.
    if (event.timeStamp - last > PAUSE) typed = "";
    last = event.timeStamp;
    if (event.key === "Enter") {
      if (typed.length >= 12 && /[^\d+]/.test(typed)) { event.preventDefault(); event.stopPropagation(); const code = typed; typed = ""; found(code); }
      typed = "";
    } else if (event.key.length === 1) typed += event.key;
  }, true);
  const close = () => {
    cancelAnimationFrame(looking); clearTimeout(looking); looking = 0;
    for (const track of stream?.getTracks() ?? []) track.stop();
    stream = null;
  };
  const open = async video => {
    close();
    if (!("BarcodeDetector" in window) || !navigator.mediaDevices) return false;
    try {
      if (!(await BarcodeDetector.getSupportedFormats()).includes("qr_code")) return false;
      stream = await navigator.mediaDevices.getUserMedia({video: {facingMode: "user", width: {ideal: 1280}}});
    } catch { return false; }
    video.srcObject = stream;
    await video.play().catch(() => {});
    const detector = new BarcodeDetector({formats: ["qr_code"]});
    const look = async () => {
      if (!stream) return;
      try {
        const [code] = await detector.detect(video);
        if (code?.rawValue && stream) { close(); found(code.rawValue); return; }
      } catch { /* no picture yet */ }
      if (stream) looking = setTimeout(look, 150);
    };
    look();
    return true;
  };
  return {open, close};
};
