// Opens a presigned URL in a new tab, once, and forgets it when it is used or has expired.
// The URL lives in this function alone: in no attribute but the link's, no storage, no message back.

export default function ({ data, parentElement }) {
  if (parentElement.shownVersion === data.version) return;
  parentElement.shownVersion = data.version;
  parentElement.querySelector(".launch")?.remove();
  const box = document.createElement("div");
  box.className = "launch";
  box.setAttribute("role", "status");
  parentElement.append(box);
  const end = Date.now() + 1000 * data.seconds;
  let timer = 0;

  const say = (text) => {
    clearInterval(timer);
    box.replaceChildren(document.createTextNode(text));
  };
  const opened = () => say(`Canvas is open in another tab, as ${data.profile}.`);

  // Opened empty and without a way back first: a tab that is refused is then told from one that is not.
  const tab = window.open("", "_blank");
  if (tab) {
    tab.opener = null;
    tab.location.replace(data.url);
    opened();
    return;
  }
  const link = document.createElement("a");
  link.href = data.url;
  link.target = "_blank";
  link.rel = "noopener noreferrer";
  link.textContent = "Open Canvas";
  link.addEventListener("click", () => setTimeout(opened, 0));
  const left = document.createElement("span");
  box.replaceChildren(link, left);
  const tick = () => {
    const seconds = Math.ceil((end - Date.now()) / 1000);
    if (seconds <= 0) {
      say("The link has expired. Launch again.");
    } else {
      left.textContent = ` The browser kept the tab from opening. Good for ${seconds} s.`;
    }
  };
  timer = setInterval(tick, 1000);
  tick();
}
