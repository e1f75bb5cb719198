// What a page does besides: the reader's time zone, copying, asking before what is dangerous, and looking for news.
(() => {
  "use strict";
  const zone = new Intl.DateTimeFormat("sv-SE", {
    year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit",
    hourCycle: "h23", timeZoneName: "short",
  });
  const prepare = (root) => {
    for (const time of root.querySelectorAll("time[datetime]:not([title])")) {
      const local = zone.format(new Date(time.dateTime)).replaceAll(" ", "\u00a0");
      time.title = time.textContent;
      if (local !== time.textContent) time.dataset.local = local;
    }
    for (const button of root.querySelectorAll("button.copy[hidden]")) button.hidden = false;
  };
  const copy = async (text) => {
    if (navigator.clipboard) return navigator.clipboard.writeText(text).then(() => true, () => false);
    const field = document.createElement("textarea");  // without TLS browsers give a page no clipboard
    field.value = text;
    document.body.append(field);
    field.select();
    const done = document.execCommand("copy");
    field.remove();
    return done;
  };
  document.addEventListener("click", async (event) => {
    const button = event.target.closest?.("button.copy");
    if (!button || !await copy(button.dataset.copy)) return;
    button.classList.add("done");
    setTimeout(() => button.classList.remove("done"), 1500);
  });
  document.addEventListener("submit", (event) => {
    const question = event.target.dataset.confirm;
    if (question && !window.confirm(question)) event.preventDefault();
  });
  // An element with data-poll is asked for anew at its address after so many seconds, which each answer may change.
  const poll = async () => {
    for (const part of document.querySelectorAll("[data-poll]")) {
      const due = Number(part.dataset.due || 0), now = Date.now();
      if (!due) part.dataset.due = now + 1000 * Number(part.dataset.poll);
      else if (now >= due && !document.hidden && part.dataset.polling !== "yes") {
        part.dataset.polling = "yes";
        try {
          await htmx.ajax("GET", part.dataset.from, {target: part, swap: "outerMorph"});
        } catch { /* the next look may succeed */ }
        const after = document.getElementById(part.id) || part;
        delete after.dataset.polling;
        after.dataset.due = Date.now() + 1000 * Number(after.dataset.poll);
      }
    }
  };
  // Where no answer comes, or none that can be shown, that is told until the next one comes.
  const unanswered = document.getElementById("unanswered");
  let waits = 0;
  const tellFailure = () => {
    clearTimeout(waits);
    waits = setTimeout(() => { // not while the page is left, which ends its requests too
      unanswered.textContent = unanswered.dataset.text;
      unanswered.hidden = false;
      if (unanswered.getBoundingClientRect().bottom < 0) unanswered.classList.add("floating");
    }, 300);
  };
  document.addEventListener("htmx:error", tellFailure);
  document.addEventListener("htmx:response:error", (event) => {
    const {response, text} = event.detail.ctx;
    if (response.status >= 500 && !text) tellFailure(); // with a text, the page shows why
  });
  document.addEventListener("htmx:after:request", (event) => {
    if (event.detail.ctx.response.status >= 500) return;
    clearTimeout(waits);
    unanswered.hidden = true;
    unanswered.classList.remove("floating");
  });
  document.addEventListener("htmx:after:swap", () => prepare(document));
  prepare(document);
  setInterval(poll, 500);
  // What was just done is told once, and not again to who reloads the page or keeps its address.
  const here = new URL(location.href);
  if (here.searchParams.has("done")) {
    here.searchParams.delete("done");
    history.replaceState(history.state, "", here);
  }
})();
