// A record's original bytes, readable. Numbers stay the text they are: nothing here goes through JavaScript's floats.

const TOKEN = /"(?:[^"\\]|\\.)*"|[[\]{}:,]|[^\s"[\]{}:,]+/g;

/** JSON with a line for each value; any other text as it is. */
export function pretty(text, contentType) {
  if (!contentType.includes("json")) return text;
  try {
    JSON.parse(text);
  } catch {
    return text;
  }
  return indented(text.match(TOKEN) ?? []);
}

function indented(tokens) {
  let depth = 0;
  let out = "";
  const newLine = () => `\n${"  ".repeat(depth)}`;
  tokens.forEach((token, index) => {
    const before = tokens[index - 1];
    if (token === "}" || token === "]") {
      depth -= 1;
      out += before === "{" || before === "[" ? token : newLine() + token;
    } else if (token === ",") {
      out += token;
    } else if (token === ":") {
      out += ": ";
    } else {
      const begins = before === "{" || before === "[" || before === ",";
      out += (begins ? newLine() : "") + token;
      if (token === "{" || token === "[") depth += 1;
    }
  });
  return out;
}
