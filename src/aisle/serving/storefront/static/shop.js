// Suggestions under the search box (the ARIA combobox pattern), and menus that close. Every page works without this.
"use strict";
(() => {
  const input = document.getElementById("q");
  const form = input.form;
  const list = document.createElement("ul");
  list.id = "suggestions";
  list.className = "suggestions";
  list.hidden = true;
  list.setAttribute("role", "listbox");
  list.setAttribute("aria-label", input.dataset.list);
  input.after(list);
  for (const [name, value] of Object.entries({
    role: "combobox", "aria-autocomplete": "list", "aria-expanded": "false", "aria-controls": list.id,
  })) input.setAttribute(name, value);

  let typed = input.value, chosen = -1, timer = 0, asking = null;

  const options = () => Array.from(list.children);
  const close = () => {
    clearTimeout(timer);
    if (asking) asking.abort();
    list.hidden = true;
    chosen = -1;
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
  };
  const choose = (place) => {
    const all = options();
    chosen = place < -1 ? all.length - 1 : place >= all.length ? -1 : place;
    all.forEach((option, i) => option.setAttribute("aria-selected", String(i === chosen)));
    if (chosen < 0) {
      input.removeAttribute("aria-activedescendant");
      input.value = typed;
    } else {
      input.setAttribute("aria-activedescendant", all[chosen].id);
      input.value = all[chosen].firstElementChild.dataset.text;
    }
  };
  const show = (html) => {
    list.innerHTML = html; // a piece of a page of this very server, escaped there
    options().forEach((option, i) => {
      option.id = "suggestion-" + i;
      option.setAttribute("role", "option");
      option.setAttribute("aria-selected", "false");
      option.firstElementChild.tabIndex = -1;
    });
    chosen = -1;
    list.hidden = !list.children.length;
    input.setAttribute("aria-expanded", String(!list.hidden));
  };
  const ask = async () => {
    if (asking) asking.abort();
    asking = new AbortController();
    try {
      const answer = await fetch("/suggestions?q=" + encodeURIComponent(typed), { signal: asking.signal });
      if (answer.ok && document.activeElement === input) show(await answer.text());
    } catch (error) {
      if (error.name !== "AbortError") close();
    }
  };

  input.addEventListener("input", (event) => {
    if (event.isComposing) return;
    typed = input.value;
    clearTimeout(timer);
    if (typed.trim()) timer = setTimeout(ask, 100);
    else close();
  });
  input.addEventListener("compositionend", () => input.dispatchEvent(new Event("input")));
  input.addEventListener("keydown", (event) => {
    if (event.isComposing) return;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      if (list.hidden) { if (input.value.trim()) { typed = input.value; ask(); } }
      else choose(chosen + (event.key === "ArrowDown" ? 1 : -1));
    } else if (event.key === "Escape" && !list.hidden) {
      event.preventDefault();
      input.value = typed;
      close();
    } else if (event.key === "Enter") {
      close();
    }
  });
  list.addEventListener("mousedown", (event) => {
    const option = event.target.closest("li");
    if (!option || event.button !== 0) return;
    event.preventDefault();
    input.value = option.firstElementChild.dataset.text;
    close();
    form.requestSubmit();
  });
  input.addEventListener("blur", close);

  const menus = Array.from(document.querySelectorAll("details.people"));
  document.addEventListener("click", (event) => {
    for (const menu of menus) if (!menu.contains(event.target)) menu.open = false;
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    for (const menu of menus) if (menu.open) { menu.open = false; menu.firstElementChild.focus(); }
  });
})();
