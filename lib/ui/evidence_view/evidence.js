// Draws a summary beside its source; a chosen summary sentence lights up the sentences it rests on.
// Parts of the summary that the source lacks are marked, each kind by a line of its own.
// All text goes in through textContent, so nothing a document holds is ever read as HTML.

export default function ({ data, parentElement }) {
  if (parentElement.shownVersion === data.version) return;
  parentElement.shownVersion = data.version;
  parentElement.querySelector(".evidence")?.remove();

  const spans = data.sentences.map((text, index) => sourceSentence(text, index));
  const marks = data.summary.map((sentence, index) => stripMark(sentence, index));
  const choices = data.summary.map((sentence, index) => summaryChoice(sentence, index));
  const source = sourceText(data.gaps, spans);
  const announcer = element("p", { className: "unseen", role: "status" });

  const chosenFor = new Map(); // source sentence -> the summary sentence that quotes it
  data.summary.forEach((sentence, index) => {
    if (sentence.support.length) chosenFor.set(sentence.support[0].sentence, index);
  });
  for (const [sentence, index] of chosenFor) {
    spans[sentence].classList.add("used");
    spans[sentence].addEventListener("click", () => choose(index, { scroll: false }));
  }
  choices.forEach((choice, index) => {
    choice.addEventListener("click", () => choose(index, { scroll: true }));
  });
  marks.forEach((mark, index) => {
    mark.addEventListener("click", () => choose(index, { scroll: true }));
  });

  const copy = element("button", { className: "copy", textContent: "Copy summary", type: "button" });
  copy.addEventListener("click", async () => {
    const copied = await copyText(data.text, parentElement);
    copy.textContent = copied ? "Copied" : "Select the text and copy it by hand";
    announcer.textContent = copy.textContent;
    setTimeout(() => (copy.textContent = "Copy summary"), 2000);
  });

  parentElement.append(
    element("div", { className: "evidence" }, [
      element("section", { className: "summary", ariaLabel: "Summary" }, [
        element("div", { className: "head" }, [
          element("h2", { textContent: "Summary" }),
          copy,
        ]),
        ...(data.legend ? [legend(data.legend)] : []),
        element("ol", {}, choices.map((choice) => element("li", {}, [choice]))),
      ]),
      element("section", { className: "original", ariaLabel: "Source text" }, [
        element("div", { className: "head" }, [
          element("h2", { textContent: "Source" }),
          element("span", { className: "legend", textContent: data.usage }),
        ]),
        element("div", { className: "strip", role: "img", ariaLabel: data.usage }, marks),
        source,
      ]),
      announcer,
    ]),
  );
  if (choices.length) choose(0, { scroll: false });

  function choose(index, { scroll }) {
    choices.forEach((choice, at) => choice.setAttribute("aria-pressed", String(at === index)));
    marks.forEach((mark, at) => mark.classList.toggle("chosen", at === index));
    for (const span of source.querySelectorAll("[data-rank]")) span.removeAttribute("data-rank");
    data.summary[index].support.forEach(({ sentence }, rank) => {
      spans[sentence].dataset.rank = String(rank + 1);
    });
    const best = data.summary[index].support[0];
    if (scroll && best) scrollIntoMiddle(source, spans[best.sentence]);
  }
}

function sourceSentence(text, index) {
  return element("span", { className: "sentence", textContent: text, id: `source-${index}` });
}

function sourceText(gaps, spans) {
  const source = element("div", { className: "text", dir: "auto", tabIndex: 0, role: "region" });
  source.setAttribute("aria-label", "Source text, scrollable");
  spans.forEach((span, index) => source.append(gaps[index], span));
  source.append(gaps[spans.length]);
  return source;
}

function summaryChoice(sentence, index) {
  const choice = element("button", { type: "button", className: "choice", dir: "auto" }, [
    element("span", { className: "quote" }, sentence.parts.map(summaryPart)),
    element("span", { className: "where", textContent: sentence.where, dir: "ltr" }),
  ]);
  choice.dataset.index = String(index);
  return choice;
}

function summaryPart({ text, kind, title }) {
  if (!kind) return text;
  // Hidden words and not aria-label: a mark has no accessible name, and the button reads its text.
  const reason = element("span", { className: "unseen", textContent: ` (${title}) ` });
  const part = element("mark", { className: "lacking", title }, [text, reason]);
  part.dataset.kind = kind;
  return part;
}

function legend({ kinds, note }) {
  const items = kinds.map(({ kind, label }) => {
    const line = element("mark", { className: "lacking", textContent: label });
    line.dataset.kind = kind;
    return element("li", {}, [line]);
  });
  const lacking = element("span", {
    textContent: items.length ? "Not in the source:" : "Nothing of it is missing in the source.",
  });
  return element("div", { className: "marks" }, [
    lacking,
    ...(items.length ? [element("ul", {}, items)] : []),
    element("p", { textContent: note }),
  ]);
}

function stripMark(sentence, index) {
  const mark = element("span", { className: "mark", title: `Sentence ${index + 1} of the summary` });
  mark.hidden = !sentence.support.length;
  mark.style.insetInlineStart = `${sentence.from * 100}%`;
  mark.style.inlineSize = `max(4px, ${(sentence.to - sentence.from) * 100}%)`;
  return mark;
}

function scrollIntoMiddle(box, item) {
  const offset = item.getBoundingClientRect().top - box.getBoundingClientRect().top;
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  box.scrollTo({
    top: box.scrollTop + offset - box.clientHeight / 3,
    behavior: still ? "auto" : "smooth",
  });
}

async function copyText(text, parent) {
  if (navigator.clipboard) {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      return false;
    }
  }
  // Browsers offer no clipboard over plain HTTP; the old command still works there.
  const area = element("textarea", { value: text, className: "unseen" });
  parent.append(area);
  area.select();
  const copied = document.execCommand("copy");
  area.remove();
  return copied;
}

function element(tag, properties, children = []) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
}
