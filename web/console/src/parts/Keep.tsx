/** Takes text along: into the clipboard, or as a file. */

import { type ReactNode, useState } from "react";

interface Props {
  /** Of what: "log", "transcript". */
  readonly what: string;
  readonly file: string;
  readonly text: () => string;
}

const TOLD_MS = 1500;

function save(name: string, text: string): void {
  const url = URL.createObjectURL(new Blob([text, "\n"], { type: "text/plain;charset=utf-8" }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  // Some browsers fetch it only after the click was handled.
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

export function Keep({ what, file, text }: Props): ReactNode {
  const [told, setTold] = useState("");
  const tell = (words: string): void => {
    setTold(words);
    setTimeout(() => setTold(""), TOLD_MS);
  };
  const copy = (): void => {
    // Browsers give pages a clipboard only over https, or on loopback.
    const clipboard = navigator.clipboard as Clipboard | undefined;
    if (clipboard === undefined) {
      tell("No clipboard here");
      return;
    }
    clipboard.writeText(text()).then(
      () => tell("Copied"),
      () => tell("The browser did not let it be copied"),
    );
  };
  return (
    <div className="keep">
      <span className="faint" role="status">
        {told}
      </span>
      <button type="button" className="button small" onClick={copy}>
        Copy {what}
      </button>
      <button type="button" className="button small" onClick={() => save(file, text())}>
        Download<span className="unseen"> {what}</span>
      </button>
    </div>
  );
}
