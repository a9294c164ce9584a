// What is wrong with the page as it is shown, for people who see little or use no mouse: a list of sentences.
() => {
  const wrong = [];
  const shown = (element) => element.checkVisibility({ checkVisibilityCSS: true });
  const all = (selector) => [...document.querySelectorAll(selector)].filter(shown);
  const named = (element) => element.outerHTML.slice(0, 120);
  const nameOf = (element) =>
    element.getAttribute("aria-label") ||
    (element.getAttribute("aria-labelledby") ?? "").split(" ").map((id) => document.getElementById(id)?.textContent).join("") ||
    [...(element.labels ?? [])].map((label) => label.textContent).join("") || element.textContent.trim();

  if (!document.documentElement.lang) wrong.push("The document has no language.");
  if (all("h1").length !== 1) wrong.push(`There are ${all("h1").length} main headings.`);
  let level = 1;
  for (const heading of all("h1, h2, h3, h4, h5, h6")) {
    const next = Number(heading.tagName[1]);
    if (next > level + 1) wrong.push(`A heading skips a level: ${named(heading)}`);
    level = next;
  }
  for (const element of all("input, select, textarea, button, a[href], summary, dialog, nav, [role=img]")) {
    if (!nameOf(element)) wrong.push(`Without a name: ${named(element)}`);
  }
  for (const table of all("table")) {
    if (!table.caption?.textContent) wrong.push(`A table without a caption: ${named(table)}`);
    for (const header of table.querySelectorAll("thead th")) {
      if (!header.textContent && !header.querySelector("[aria-label]")) wrong.push(`An empty header: ${named(table)}`);
    }
  }
  const ids = [...document.querySelectorAll("[id]")].map((element) => element.id);
  for (const id of new Set(ids.filter((each, index) => ids.indexOf(each) !== index))) wrong.push(`Twice the id ${id}.`);
  for (const element of document.querySelectorAll("[tabindex]")) {
    if (element.tabIndex > 0) wrong.push(`Out of the order of Tab: ${named(element)}`);
  }
  if (document.querySelectorAll("main").length !== 1) wrong.push("There is not exactly one main part.");

  const drawn = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgba = (colour) => {
    drawn.clearRect(0, 0, 1, 1);
    drawn.fillStyle = colour;
    drawn.fillRect(0, 0, 1, 1);
    return [...drawn.getImageData(0, 0, 1, 1).data];
  };
  const groundOf = (element) => {
    for (let each = element; each; each = each.parentElement) {
      const ground = rgba(getComputedStyle(each).backgroundColor);
      if (ground[3] === 255) return ground;
    }
    return [255, 255, 255, 255];
  };
  const luminance = (colour) => {
    const [r, g, b] = colour.slice(0, 3).map((value) => {
      const part = value / 255;
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const seen = new Set();
  for (const element of all("body *")) {
    const hasText = [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.textContent.trim());
    if (!hasText || element.closest("svg, .unseen") || element.closest("[aria-busy=true]")) continue;
    const [one, other] = [luminance(rgba(getComputedStyle(element).color)), luminance(groundOf(element))].sort((a, b) => b - a);
    const contrast = (one + 0.05) / (other + 0.05);
    const place = `${element.tagName}.${element.className}`;
    if (contrast < 4.5 && !seen.has(place)) {
      seen.add(place);
      wrong.push(`Contrast ${contrast.toFixed(2)}: ${named(element)}`);
    }
  }
  const width = document.documentElement.scrollWidth;
  if (width > window.innerWidth) wrong.push(`The page is ${width} wide in a window of ${window.innerWidth}.`);
  return wrong;
}
