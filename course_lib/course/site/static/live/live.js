// The page that hears you: two tabs, each started when it is first shown.
import { start as startSound } from "./sound.js";
import { start as startEvents } from "./events.js";

const tabs = [...document.querySelectorAll("#live [role=tab]")];
const begun = new Set();

function choose(tab, focus = false) {
  for (const other of tabs) {
    const chosen = other === tab;
    other.setAttribute("aria-selected", chosen);
    other.tabIndex = chosen ? 0 : -1;
    document.getElementById(other.getAttribute("aria-controls")).hidden = !chosen;
  }
  if (focus) tab.focus();
  if (begun.has(tab)) return;
  begun.add(tab);
  (tab.id === "live-tab-sound" ? startSound : startEvents)();
}

for (const tab of tabs) {
  tab.addEventListener("click", () => choose(tab));
  tab.addEventListener("keydown", ({ key }) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[key];
    if (step) choose(tabs.at((tabs.indexOf(tab) + step) % tabs.length), true);
  });
}
choose(tabs.find((tab) => location.hash === `#${tab.getAttribute("aria-controls")}`) ?? tabs[0]);
