// Groups of boxes can be ticked and unticked as a whole, and say how many are ticked. Works without, only slower.
"use strict";
for (const group of document.querySelectorAll("[data-group]")) {
  const boxes = [...group.querySelectorAll('input[name="allow"]')];
  const count = group.querySelector("[data-count]");
  const all = document.createElement("input");
  all.type = "checkbox";
  all.setAttribute("aria-label", group.querySelector("summary span").textContent);
  const show = () => {
    const ticked = boxes.filter((box) => box.checked).length;
    all.checked = ticked > 0;
    all.indeterminate = ticked > 0 && ticked < boxes.length;
    count.textContent = ticked + " / " + boxes.length;
  };
  // A click on the box ticks the group; it must not fold it as well.
  all.addEventListener("click", (event) => event.stopPropagation());
  all.addEventListener("change", () => {
    for (const box of boxes) box.checked = all.checked;
    show();
  });
  group.addEventListener("change", show);
  group.querySelector("summary").prepend(all);
  show();
}
