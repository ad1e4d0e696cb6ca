"use strict";
// A click (or Enter, or Space) on a line of the picture shows the rules behind it; Escape puts them away.
(() => {
  const panel = document.getElementById("panel");
  const title = panel.querySelector("h2");
  const body = panel.querySelector(".more");
  let opener = null;

  const show = (line) => {
    const sources = line.dataset.rule.split(" ").map((id) => document.getElementById("rule-" + id)).filter(Boolean);
    if (!sources.length) return;
    if (opener) opener.classList.remove("chosen");
    opener = line;
    line.classList.add("chosen");
    title.textContent = sources[sources.length - 1].querySelector("summary .what").textContent;
    body.replaceChildren(...sources.flatMap((source) => [...source.querySelector(".more").cloneNode(true).childNodes]));
    panel.hidden = false;
    panel.scrollTop = 0;
  };

  const hide = () => {
    if (panel.hidden) return;
    panel.hidden = true;
    if (opener) {
      opener.classList.remove("chosen");
      opener.focus({ preventScroll: true });
      opener = null;
    }
  };

  for (const line of document.querySelectorAll("[data-rule]")) {
    line.addEventListener("click", () => show(line));
    line.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      show(line);
    });
  }
  panel.querySelector("button").addEventListener("click", hide);
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") hide(); });
})();
