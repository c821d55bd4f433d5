// A link to a folded table opens it; what is wider than its box can be reached with the keyboard.
function unfold() {
  document.getElementById(decodeURIComponent(location.hash.slice(1)))?.querySelector("details")?.setAttribute("open", "");
}
function reachable() {
  for (const box of document.querySelectorAll("pre, .cell_output, .scroll, mjx-container")) {
    if (box.scrollWidth > box.clientWidth + 1) box.tabIndex = 0;
  }
}
addEventListener("hashchange", unfold);
// What a button or a fold is called must hold what it shows ("Search Ctrl+K", "Show a solution").
function named() {
  for (const place of document.querySelectorAll(".search-button-field, details.hide > summary")) {
    place.removeAttribute("aria-label");
  }
}
addEventListener("load", () => { unfold(); reachable(); named(); });
addEventListener("resize", reachable);
