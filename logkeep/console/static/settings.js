// Settings and registration: more rows for nodes, the reader's own zone, and what daylight saving does to a fixed one.
(() => {
  "use strict";
  const MINUTE = 60_000, DAY = 86_400_000;
  const lang = document.documentElement.lang;
  const aheadOf = (moment) => -new Date(moment).getTimezoneOffset(); // minutes ahead of UTC, then

  // More rows without asking the server.
  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("button.more");
    if (!button) return;
    const rows = document.querySelector("ol.rows"), count = document.querySelector("input[name=rows]");
    const most = Number(rows.dataset.most);
    event.preventDefault();
    for (let added = 0; added < 5 && rows.children.length < most; added++) {
      const row = rows.lastElementChild.cloneNode(true), number = rows.children.length;
      for (const input of row.querySelectorAll("input")) {
        input.name = input.name.replace(/\d+$/, number);
        input.value = "";
        input.removeAttribute("value");
      }
      rows.append(row);
      if (!added) row.querySelector("input").focus();
    }
    count.value = rows.children.length;
    button.disabled = rows.children.length >= most;
  });

  // A check's answer is brought into view, and its form is marked at the field that it was refused for.
  document.addEventListener("htmx:after:swap", (event) => {
    const button = event.target.closest?.("[hx-select='#found'], [hx-select='#node-checks']");
    if (!button) return;
    const found = document.querySelector(button.getAttribute("hx-select")), form = button.closest("form");
    for (const field of form.elements) field.removeAttribute("aria-invalid");
    const wrong = found.querySelector("[data-wrong]")?.dataset.wrong;
    if (wrong) form.elements[wrong]?.setAttribute("aria-invalid", "true");
    found.scrollIntoView({block: "nearest"});
  });
  // What a check found is of before, as soon as a field of its form is changed.
  const outdate = (event) => {
    const found = document.getElementById("found"), told = found?.querySelector(".before");
    if (!told || !event.target.form?.querySelector("[hx-select='#found']")) return;
    told.hidden = false;
    found.querySelector(".result").classList.add("outdated");
  };
  document.addEventListener("input", outdate);

  // The reader's zone, as it is now.
  for (const button of document.querySelectorAll("button.own-zone")) {
    const ahead = aheadOf(Date.now()), away = Math.abs(ahead), two = (number) => String(number).padStart(2, "0");
    const zone = `GMT${ahead < 0 ? "-" : "+"}${two(Math.floor(away / 60))}:${two(away % 60)}`;
    const select = button.parentElement.querySelector("select[name=zone]");
    const option = [...select.options].find((one) => one.value === zone);
    if (!option) continue;
    button.hidden = false;
    button.textContent += ` (${zone})`;
    button.addEventListener("click", () => { select.value = zone; select.focus(); select.dispatchEvent(new Event("input", {bubbles: true})); });
  }

  // The hour on the reader's clock until that is set, and from then on, for its next two changes.
  const nextChange = (from) => {
    const ahead = aheadOf(from);
    for (let day = from; day < from + 400 * DAY; day += DAY) {
      if (aheadOf(day + DAY) === ahead) continue;
      let before = day, after = day + DAY;
      while (after - before > MINUTE) {
        const middle = Math.floor((before + after) / 2);
        if (aheadOf(middle) === ahead) before = middle; else after = middle;
      }
      return after;
    }
    return null;
  };
  for (const part of document.querySelectorAll(".seasons")) {
    const {hour, minute, offset, now} = part.dataset;
    const first = nextChange(Number(now));
    const [told, intro] = part.querySelectorAll("p"), list = part.querySelector("ul");
    if (first === null) { // clocks stand as they do all year
      told.hidden = true;
      continue;
    }
    const second = nextChange(first + DAY) ?? first + 180 * DAY;
    const day = new Intl.DateTimeFormat("sv-SE", {year: "numeric", month: "2-digit", day: "2-digit"}); // 2027-03-28
    const clock = new Intl.DateTimeFormat(lang, {hour: "2-digit", minute: "2-digit", hourCycle: "h23", timeZoneName: "short"});
    const startAfter = (moment) => { // the first start after a moment
      const start = (Number(hour) * 60 + Number(minute) - Number(offset)) * MINUTE;
      return start + Math.ceil((moment - start) / DAY) * DAY;
    };
    const lines = [
      [clock.format(startAfter(Number(now))), list.dataset.until, first],
      [clock.format(startAfter(first)), list.dataset.from, first],
      [clock.format(startAfter(second)), list.dataset.from, second],
    ];
    for (const [time, word, moment] of lines) {
      const item = document.createElement("li");
      const hourText = document.createElement("strong");
      hourText.textContent = time;
      item.append(hourText, ` ${word} ${day.format(moment)}`);
      list.append(item);
    }
    part.querySelector(".zone-name").textContent = clock.resolvedOptions().timeZone;
    intro.hidden = list.hidden = false;
  }
})();
