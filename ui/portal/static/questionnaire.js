// A questionnaire while somebody fills it in: what does not apply is hidden, what was typed is kept. The server decides.
(() => {
  const form = document.getElementById("questions"), kept = document.getElementById("kept");
  if (!form) return;
  const conditional = [...form.querySelectorAll("[data-when]")].map(element => [element, JSON.parse(element.dataset.when)]);
  const applies = name => !form.querySelector(`[data-node="${CSS.escape(name)}"]`)?.closest("[data-node][hidden]");
  const values = names => names.filter(applies).flatMap(name => [...form.querySelectorAll(`[name="${CSS.escape(`a.${name}`)}"]`)]
    .filter(field => (["radio", "checkbox"].includes(field.type) ? field.checked : field.value.trim())).map(field => field.value.trim()));
  const digits = text => Number(text.replace(/[٠-٩]/g, digit => "٠١٢٣٤٥٦٧٨٩".indexOf(digit)).replace(",", "."));
  const compare = (type, one, other) => {
    if (["Integer", "Decimal", "Quantity"].includes(type)) { const [a, b] = [digits(one), Number(other)]; return Number.isNaN(a) ? null : Math.sign(a - b); }
    if (["Date", "DateTime", "Time"].includes(type)) { const n = Math.min(one.length, other.length), [a, b] = [one.slice(0, n), other.slice(0, n)]; return a < b ? -1 : Number(a > b); }
    return null;
  };
  const same = (type, one, other) => { const order = compare(type, one, other); return order === null ? one === other : order === 0; };
  const SIGNS = {">": [1], ">=": [1, 0], "<": [-1], "<=": [-1, 0]};
  const met = ([names, operator, type, wanted]) => {
    const given = values(names);
    if (operator === "exists") return (given.length > 0) === (wanted === "true");
    if (operator === "=") return given.some(value => same(type, value, wanted));
    if (operator === "!=") return !given.some(value => same(type, value, wanted));
    return given.some(value => SIGNS[operator]?.includes(compare(type, value, wanted)));
  };
  function enable() {
    // In the order of the page, and again until nothing changes: one may depend on another.
    for (let round = 0; round < 5; round += 1) {
      let changed = false;
      for (const [element, {all, when}] of conditional) {
        const hidden = !(all ? when.every(met) : when.some(met));
        if (element.hidden !== hidden) { element.hidden = hidden; changed = true; }
      }
      if (!changed) return;
    }
  }
  let timer = 0, sending = false;
  async function keep() {
    if (sending) return;
    try {
      const answer = await fetch(form.dataset.keep, {method: "POST", body: new URLSearchParams(new FormData(form))});
      if (answer.ok) kept.textContent = await answer.text();
    } catch { /* no network: app.js keeps what was typed in this browser */ }
  }
  const later = () => { clearTimeout(timer); timer = setTimeout(keep, 2500); };
  form.addEventListener("input", () => { enable(); later(); });
  form.addEventListener("change", () => { enable(); later(); });
  form.addEventListener("salam:restored", enable);
  form.addEventListener("submit", () => { sending = true; clearTimeout(timer); });
  addEventListener("pageshow", () => { sending = false; });
  for (const button of form.querySelectorAll("[data-clear]")) {
    const draw = () => { button.hidden = !form.querySelector(`[name="${CSS.escape(button.dataset.clear)}"]:checked`); };
    draw();
    form.addEventListener("change", draw);
    button.addEventListener("click", () => {
      for (const field of form.querySelectorAll(`[name="${CSS.escape(button.dataset.clear)}"]`)) field.checked = false;
      form.dispatchEvent(new Event("change"));
    });
  }
  enable();
})();
