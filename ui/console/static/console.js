// The console: filter of types, completion of search parameters, lines of the editor, copying.
document.documentElement.classList.add("has-js");

document.addEventListener("input", (event) => {
  const filter = event.target.closest("[data-filter]");
  if (!filter) return;
  const wanted = filter.value.trim().toLowerCase();
  document.querySelectorAll(filter.dataset.filter).forEach((row) => { row.hidden = !row.dataset.name.includes(wanted); });
});
document.addEventListener("keydown", (event) => {
  const filter = event.target.closest("[data-filter]");
  if (!filter || event.key !== "Enter") return;
  const first = [...document.querySelectorAll(filter.dataset.filter)].find((row) => !row.hidden);
  if (first) first.querySelector("a").click();
});

document.addEventListener("click", async (event) => {
  const copy = event.target.closest("[data-copy-text]");
  if (copy) {
    await navigator.clipboard.writeText(copy.dataset.copyText);
    copy.querySelector("span").textContent = copy.dataset.copied;
  }
  const line = event.target.closest("[data-line]");
  if (line) goTo(document.getElementById("json"), Number(line.dataset.line));
});

// -- completion: the parameter in which the caret stands ---------------------------------------------------------------
const MODIFIERS = { string: ["exact", "contains", "missing"], token: ["not", "text", "missing", "in", "not-in"], reference: ["identifier", "missing"], date: ["missing"], quantity: ["missing"], uri: ["below", "above", "missing"], number: ["missing"] };
const box = document.querySelector("[data-complete]");
if (box) {
  const list = document.getElementById("suggestions");
  const known = [...document.getElementById(box.dataset.complete).options].map((option) => ({ name: option.value, type: option.dataset.type, text: option.textContent }));
  let chosen = -1;
  Object.entries({ role: "combobox", "aria-autocomplete": "list", "aria-expanded": "false", "aria-controls": "suggestions" }).forEach(([name, value]) => box.setAttribute(name, value));

  const piece = () => {
    const before = box.value.slice(0, box.selectionStart);
    const start = before.lastIndexOf("&") + 1;
    return { start, text: before.slice(start) };
  };
  const close = () => { list.hidden = true; chosen = -1; box.setAttribute("aria-expanded", "false"); box.removeAttribute("aria-activedescendant"); };
  const found = () => {
    const { text } = piece();
    if (text.includes("=")) return [];
    const [name, modifier] = text.split(":");
    if (modifier !== undefined) {
      const parameter = known.find((each) => each.name === name);
      return (MODIFIERS[parameter?.type] ?? []).filter((each) => each.startsWith(modifier)).map((each) => ({ name: `${name}:${each}`, type: "", text: "" }));
    }
    const wanted = text.toLowerCase();
    const starts = known.filter((each) => each.name.toLowerCase().startsWith(wanted));
    return [...starts, ...known.filter((each) => !starts.includes(each) && each.name.toLowerCase().includes(wanted))].slice(0, 40);
  };
  const show = () => {
    const rows = document.activeElement === box ? found() : [];
    chosen = -1;
    list.replaceChildren(...rows.map((each, number) => {
      const row = document.createElement("li");
      row.id = `suggestion-${number}`;
      row.setAttribute("role", "option");
      row.setAttribute("aria-selected", "false");
      row.dataset.name = each.name;
      const name = document.createElement("strong"), more = document.createElement("span");
      name.textContent = each.name;
      more.textContent = [each.type, each.text].filter(Boolean).join(" · ");
      row.append(name, more);
      row.addEventListener("mousedown", (event) => { event.preventDefault(); take(each.name); });
      return row;
    }));
    list.hidden = rows.length === 0;
    box.setAttribute("aria-expanded", String(rows.length > 0));
    box.removeAttribute("aria-activedescendant");
  };
  const take = (name) => {
    const { start } = piece();
    const rest = box.value.slice(box.selectionStart);
    box.value = `${box.value.slice(0, start)}${name}=${rest.startsWith("&") || !rest ? rest : `&${rest}`}`;
    const caret = start + name.length + 1;
    box.setSelectionRange(caret, caret);
    close();
    box.focus();
  };
  const mark = (step) => {
    const rows = [...list.children];
    if (!rows.length) return;
    chosen = (chosen + step + rows.length) % rows.length;
    rows.forEach((row, number) => row.setAttribute("aria-selected", String(number === chosen)));
    rows[chosen].scrollIntoView({ block: "nearest" });
    box.setAttribute("aria-activedescendant", rows[chosen].id);
  };
  box.addEventListener("input", show);
  box.addEventListener("focus", show);
  box.addEventListener("blur", close);
  box.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      if (list.hidden) show(); else mark(event.key === "ArrowDown" ? 1 : -1);
      event.preventDefault();
    } else if (event.key === "Enter") {
      if (chosen >= 0) { take(list.children[chosen].dataset.name); event.preventDefault(); } else close();
    } else if (event.key === "Escape" && !list.hidden) { close(); event.preventDefault(); }
  });
}

// -- the editor --------------------------------------------------------------------------------------------------------
const text = document.getElementById("json");
const numbers = document.querySelector(".line-numbers");
function goTo(area, line) {
  const lines = area.value.split("\n");
  const start = lines.slice(0, line - 1).reduce((sum, each) => sum + each.length + 1, 0);
  area.focus();
  area.setSelectionRange(start, start + (lines[line - 1] ?? "").length);
  area.scrollTop = Math.max(0, (line - 6) * parseFloat(getComputedStyle(area).lineHeight));
}
if (text && numbers) {
  const count = () => {
    const lines = text.value.split("\n").length;
    numbers.textContent = Array.from({ length: lines }, (_, number) => number + 1).join("\n");
  };
  count();
  text.addEventListener("input", count);
  document.addEventListener("salam:restored", count);
  text.addEventListener("scroll", () => { numbers.scrollTop = text.scrollTop; });
  text.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); document.getElementById("check").click(); }
  });
}
