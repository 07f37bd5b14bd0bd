// The paper asks to be printed as soon as it is there.
addEventListener("load", () => setTimeout(() => print(), 50));
document.addEventListener("click", event => { if (event.target.closest("[data-print]")) print(); });
