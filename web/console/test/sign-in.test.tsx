import { createRoot } from "react-dom/client";
import { expect, it, vi } from "vitest";
import { SignIn } from "../src/views/SignIn";

it("asks for the key in a field that is not to be kept beyond the tab", async () => {
  const box = document.body.appendChild(document.createElement("div"));
  const root = createRoot(box);
  root.render(<SignIn refused={null} onKey={() => undefined} />);
  await vi.waitFor(() => expect(box.querySelector("input")).not.toBeNull());
  const field = box.querySelector("input");
  expect(field?.type).toBe("password");
  expect(field?.autocomplete).toBe("off");
  for (const name of ["1p-ignore", "lpignore", "bwignore", "protonpass-ignore", "form-type"]) {
    expect(field?.hasAttribute(`data-${name}`)).toBe(true);
  }
  expect(field?.hasAttribute("name")).toBe(false);
  root.unmount();
});
