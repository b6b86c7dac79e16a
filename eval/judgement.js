// Shows the cases of a judgement: filters, sorts, and draws a window of them at a time.
// Report texts reach the page as text nodes only.
"use strict";
(() => {
  const WINDOW = 25;
  const data = JSON.parse(document.getElementById("data").textContent);
  const at = id => document.getElementById(id);
  const filters = at("filters"), list = at("list"), more = at("more");

  const el = (tag, attributes, ...children) => {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes || {})) {
      if (value !== null && value !== false) made.setAttribute(name, value === true ? "" : value);
    }
    made.append(...children.filter(child => child !== null && child !== ""));
    return made;
  };
  const signed = value => (value < 0 ? "\u2212" : "+") + Math.abs(value).toFixed(3);
  const count = value => value.toLocaleString("en-US");
  const text = (one, name) => one.texts.find(written => written.system === name);
  const fired = (written, check) =>
    Boolean(written) && (check === "*" ? written.notices.length > 0 : written.notices.some(notice => notice[0] === check));

  for (const one of data.cases) {
    one.ours = text(one, data.candidate);
    one.theirs = text(one, one.incumbent);
    one.lost = one.theirs ? one.ours.score - one.theirs.score : 0;
  }

  // Sorting and filtering

  const SORTS = {
    score: ["ROUGE-L, lowest first", (a, b) => a.ours.score - b.ours.score],
    lost: ["lost to the incumbent, most first", (a, b) => a.lost - b.lost],
    notices: [
      "notices, most first",
      (a, b) => b.ours.notices.length - a.ours.notices.length || a.ours.score - b.ours.score,
    ],
  };
  const WHOSE = {
    ours: ["the candidate", (one, check) => fired(one.ours, check)],
    new: ["only the candidate", (one, check) => fired(one.ours, check) && !fired(one.theirs, check)],
    gone: ["only the incumbent", (one, check) => !fired(one.ours, check) && fired(one.theirs, check)],
    all: ["any system", (one, check) => one.texts.some(written => fired(written, check))],
  };
  const fill = (id, options) => at(id).append(...options.map(([value, label]) => el("option", { value }, label)));
  fill("sort", Object.entries(SORTS).map(([value, [label]]) => [value, label]));
  fill("modality", [["", "all"], ...data.modalities.map(name => [name, name])]);
  fill("cluster", [
    ["", "all"],
    ...data.clusters.map(({ name, clinics }) => [name, clinics.length ? `${name} (${clinics.join(", ")})` : name]),
  ]);
  fill("check", [["", "noticed or not"], ["*", "any check"], ...data.checks.map(({ name }) => [name, name])]);
  fill("whose", Object.entries(WHOSE).map(([value, [label]]) => [value, label]));
  fill("kind", [["", "all"], ["abnormal", "abnormal"], ["normal", "normal"]]);

  const haystack = one =>
    (one.haystack ??= [one.id, one.clinic, one.findings, one.reference, ...one.texts.map(written => written.text)]
      .join("\n")
      .toLowerCase());

  let matching = [], drawn = 0;

  const apply = () => {
    const [modality, cluster, kind, check] = ["modality", "cluster", "kind", "check"].map(id => at(id).value);
    const words = at("words").value.trim().toLowerCase().split(/\s+/).filter(Boolean);
    const within = data.cases.filter(
      one =>
        (!modality || one.modality === modality) &&
        (!cluster || one.cluster === cluster) &&
        (!kind || one.abnormal === (kind === "abnormal")) &&
        words.every(word => haystack(one).includes(word)),
    );
    const has = WHOSE[at("whose").value][1];
    at("whose").disabled = !check;
    matching = (check ? within.filter(one => has(one, check)) : within).sort(SORTS[at("sort").value][1]);
    list.replaceChildren();
    drawn = 0;
    draw();
    drawChecks(within, check);
    for (const button of document.querySelectorAll("button.slice")) {
      const chosen = modality === button.dataset.modality && cluster === button.dataset.cluster;
      button.setAttribute("aria-pressed", String(chosen));
    }
  };
  const timed = () => {
    const start = performance.now();
    apply();
    performance.measure("filter", { start });
  };

  const draw = () => {
    const next = matching.slice(drawn, drawn + WINDOW);
    list.append(...next.map((one, index) => card(one, drawn + index + 1)));
    drawn += next.length;
    at("count").textContent =
      `${count(drawn)} shown of ${count(matching.length)} that match, ${count(data.cases.length)} in all`;
    more.hidden = drawn >= matching.length;
    more.textContent = `${count(Math.min(WINDOW, matching.length - drawn))} more`;
    if (!matching.length) list.append(el("p", { class: "empty" }, "No case matches these filters."));
  };

  // The checks

  const LABELS = {
    a: "a: a finding that is not there", b: "b: a finding that is missed", c: "c: another place",
    d: "d: another severity", e: "e: a comparison that was not made", f: "f: a comparison that is missing",
  };
  const rate = (hits, all) => (all ? `${hits} of ${count(all)} (${((100 * hits) / all).toFixed(1)}%)` : "-");

  const drawChecks = (within, chosen) => {
    const compared = within.filter(one => one.theirs);
    const head = ["check", "error (ReXVal)", "candidate", "incumbent", "only candidate", "only incumbent"];
    const rows = data.checks.map(({ name, hard, label }) => {
      const ours = within.filter(one => fired(one.ours, name)).length;
      const theirs = compared.filter(one => fired(one.theirs, name)).length;
      const fresh = compared.filter(one => WHOSE.new[1](one, name)).length;
      const gone = compared.filter(one => WHOSE.gone[1](one, name)).length;
      const button = el("button", { type: "button", "data-check": name, "aria-pressed": String(chosen === name) }, name);
      return el(
        "tr",
        { class: hard && ours ? "broken" : null },
        el("th", { scope: "row" }, button, hard ? el("small", null, " never allowed") : ""),
        el("td", null, LABELS[label] || "-"),
        ...[rate(ours, within.length), rate(theirs, compared.length), count(fresh), count(gone)].map(value =>
          el("td", { class: "number" }, value),
        ),
      );
    });
    at("checks").replaceChildren(
      el("caption", null, `Noticed in ${count(within.length)} cases`),
      el("thead", null, el("tr", null, ...head.map(name => el("th", { scope: "col" }, name)))),
      el("tbody", null, ...rows),
    );
  };

  // A case

  const card = (one, rank) => {
    const roles = [["Candidate", one.ours], ["Incumbent", one.theirs]];
    const base = text(one, data.base);
    if (one.incumbent === data.base) roles[1][0] = "Incumbent = base";
    else roles.push(["Base", base]);
    const lost = one.theirs ? `, ${signed(one.lost)} against the incumbent` : "";
    const facts = [`${one.modality} · ${one.cluster}`, one.clinic, one.abnormal ? "abnormal" : "normal"];
    const article = el(
      "article",
      { tabindex: "-1", "aria-label": `Case ${rank}` },
      el(
        "header",
        null,
        el("h3", null, el("span", { class: "rank" }, `${rank}`), ` ${one.id}`),
        el("span", { class: "facts-line" }, facts.filter(Boolean).join(" · ")),
        el("span", { class: "score" }, "ROUGE-L ", el("b", null, one.ours.score.toFixed(3)), lost),
      ),
      el(
        "details",
        { open: at("findings").checked },
        el("summary", null, "Findings"),
        ...one.context.map(([name, value]) => el("p", { class: "context" }, el("b", null, `${name}: `), value)),
        el("div", { class: "text" }, one.findings),
      ),
      el(
        "div",
        { class: "beside" },
        el("div", { class: "system" }, title("Reference", "", null), el("div", { class: "text reference" }, one.reference)),
        ...roles.map(([role, written]) => system(role, written, one.reference)),
      ),
    );
    return article;
  };

  const title = (role, note, system) =>
    el("h4", null, role, system ? el("code", { title: system }, system) : "", note ? el("small", null, note) : "");

  const system = (role, written, reference) => {
    if (!written) return el("div", { class: "system" }, title(role, "", null), el("p", { class: "none" }, "no text at hand"));
    const words = written.text.split(/\s+/).filter(Boolean).length;
    const note = `ROUGE-L ${written.score.toFixed(3)} · ${words} words${written.cut ? " · cut at the token limit" : ""}`;
    const notices = written.notices.map(([check, message, start, stop]) =>
      el("li", null, el("b", null, check), ` ${message}`, start === stop ? el("small", null, " (no words to mark)") : ""),
    );
    return el(
      "div",
      { class: role === "Candidate" ? "system ours" : "system" },
      title(role, note, written.system === data.base ? null : written.system),
      notices.length ? el("ul", { class: "notices", "aria-label": "Noticed" }, ...notices) : "",
      marked(written, reference),
    );
  };

  // The text in pieces that are cut wherever words differ or a notice begins or ends.
  const marked = (written, reference) => {
    const body = el("div", { class: "text" });
    if (!written.text) body.append(el("span", { class: "none" }, "(empty)"));
    const spans = written.notices.filter(([, , start, stop]) => start < stop);
    const cuts = new Set([0, written.text.length]);
    for (const [start, stop] of written.changes) cuts.add(start).add(stop);
    for (const [, , start, stop] of spans) cuts.add(start).add(stop);
    const places = [...cuts].sort((a, b) => a - b);
    const added = start => written.changes.some(change => change[0] <= start && start < change[1]);
    places.forEach((start, index) => {
      for (const [from, , without, until] of written.changes) {
        if (from === start && without < until) {
          const lost = el("del", null, reference.slice(without, until).replace(/\s+/g, " "));
          const apart = side => (/[\p{L}\p{N}]/u.test(side) ? " " : "");
          body.append(apart(written.text.slice(start - 1, start)), lost, apart(written.text.slice(start, start + 1)));
        }
      }
      const stop = places[index + 1];
      if (stop === undefined) return;
      const piece = written.text.slice(start, stop);
      const plain = added(start) ? el("ins", null, piece) : piece;
      const covering = spans.filter(span => span[2] <= start && stop <= span[3]);
      if (!covering.length) return body.append(plain);
      const ending = covering.filter(span => span[3] === stop);
      const tags = ending.map(([check]) => el("span", { class: "tag" }, check));
      const why = covering.map(([check, message]) => `${check}: ${message}`).join("\n");
      return body.append(el("mark", { title: why }, plain, ...tags));
    });
    return body;
  };

  // What a reader does

  const choose = changes => {
    for (const [id, value] of Object.entries(changes)) at(id).value = value;
    timed();
  };
  const toCases = () => at("cases").scrollIntoView({ block: "start" });
  let typing = 0;
  filters.addEventListener("change", event => {
    if (event.target.id === "findings") {
      for (const details of list.querySelectorAll("details")) details.open = event.target.checked;
    } else if (event.target.id === "omitted") list.classList.toggle("terse", !event.target.checked);
    else if (event.target.id !== "words") timed();
  });
  filters.addEventListener("input", event => {
    if (event.target.id !== "words") return;
    clearTimeout(typing);
    typing = setTimeout(timed, 120);
  });
  filters.addEventListener("submit", event => event.preventDefault());
  filters.addEventListener("reset", () => setTimeout(() => (list.classList.remove("terse"), timed())));
  more.addEventListener("click", draw);
  document.addEventListener("click", event => {
    const slice = event.target.closest("button.slice");
    const check = event.target.closest("button[data-check]");
    if (slice) {
      const again = slice.getAttribute("aria-pressed") === "true";
      choose(again ? { modality: "", cluster: "" } : { modality: slice.dataset.modality, cluster: slice.dataset.cluster });
      if (!again) toCases();
    } else if (check) {
      const again = check.getAttribute("aria-pressed") === "true";
      choose({ check: again ? "" : check.dataset.check });
      if (!again) toCases();
    }
  });
  document.addEventListener("keydown", event => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea")) return;
    if (event.key === "/") {
      event.preventDefault();
      at("words").focus();
    } else if (event.key === "f") at("findings").click();
    else if (event.key === "j" || event.key === "k") step(event.key === "j" ? 1 : -1);
  });
  const step = by => {
    const here = document.activeElement.closest?.("article");
    let cards = list.querySelectorAll("article");
    const next = here ? [...cards].indexOf(here) + by : 0;
    if (next >= cards.length && drawn < matching.length) {
      draw();
      cards = list.querySelectorAll("article");
    }
    const to = cards[Math.max(0, next)];
    if (to) {
      to.focus({ preventScroll: true });
      to.scrollIntoView({ block: "start" });
    }
  };

  const expires = document.querySelector("#expires time");
  if (expires && Date.parse(expires.dateTime) <= Date.now()) at("expires").append(" EXPIRED: opens nothing");
  apply();
  performance.measure("load", { start: 0 });
})();
