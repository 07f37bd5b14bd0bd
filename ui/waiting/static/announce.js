// A chime and a spoken number, one call after the other: two desks that call at once are both heard.
window.salamAnnounce = ({show, spoken}) => {
  const waiting = [];
  let audio = null, busy = false;
  const wait = milliseconds => new Promise(done => setTimeout(done, milliseconds));
  // Browsers play nothing before somebody touched the page, unless they were started for a kiosk.
  const awake = () => {
    audio ??= window.AudioContext ? new AudioContext() : null;
    if (audio?.state === "suspended") audio.resume().catch(() => {});
    return audio?.state === "running";
  };
  const tone = (frequency, at, length) => {
    const source = audio.createOscillator(), gain = audio.createGain();
    source.frequency.value = frequency;
    gain.gain.setValueAtTime(0, at);
    gain.gain.linearRampToValueAtTime(.5, at + .02);
    gain.gain.exponentialRampToValueAtTime(.001, at + length);
    source.connect(gain).connect(audio.destination);
    source.start(at);
    source.stop(at + length);
    source.onended = () => { source.disconnect(); gain.disconnect(); };
  };
  const chime = async () => {
    if (!awake()) return;
    tone(660, audio.currentTime, .7);
    tone(528, audio.currentTime + .35, 1.1);
    await wait(1300);
  };
  const speak = (text, language) => new Promise(done => {
    const voice = speechSynthesis.getVoices().find(each => each.lang.toLowerCase().startsWith(language));
    // A language that nobody here can read is better not read at all.
    if (!voice) { done(); return; }
    const said = new SpeechSynthesisUtterance(text);
    said.voice = voice; said.lang = voice.lang; said.rate = .9;
    const limit = setTimeout(() => { speechSynthesis.cancel(); done(); }, 9000);
    said.onend = said.onerror = () => { clearTimeout(limit); done(); };
    speechSynthesis.speak(said);
  });
  const run = async () => {
    if (busy) return;
    busy = true;
    while (waiting.length) {
      const {call, sound, speech} = waiting.shift();
      show(call, true);
      if (sound) await chime();
      if (speech && window.speechSynthesis) for (const [language, text] of spoken(call)) await speak(text, language);
      await wait(3500);
      show(call, false);
    }
    busy = false;
  };
  return {
    add: (call, how) => { waiting.push({call, ...how}); if (waiting.length > 12) waiting.shift(); setTimeout(run); },
    awake, get busy() { return busy; },
  };
};
