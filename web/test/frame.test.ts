import { expect, it } from "vitest";
import { frameOf } from "../src/frame";

const at = (pathname: string, hash: string): ReturnType<typeof frameOf> => frameOf({ pathname, hash, origin: "https://talk.example" });

it("is embedded at its own path alone, and takes from the fragment only what it knows", () => {
  expect(at("/", "#key=pk")).toBeNull();
  expect(at("/embed", "#key=pk_1&agent=tutor&theme=dark&origin=https%3A%2F%2Fshop.example&x=1")).toEqual({
    origin: "https://shop.example",
    key: "pk_1",
    keyComes: false,
    agent: "tutor",
    voice: null,
    theme: "dark",
  });
});

it("tells nobody where the fragment names no origin", () => {
  for (const origin of ["", "*", "null", "javascript:alert(1)", "https://a.example/path"]) {
    expect(at("/embed", `#origin=${encodeURIComponent(origin)}&theme=pink`)).toMatchObject({
      origin: "",
      key: null,
      theme: null,
    });
  }
});

it("takes no key from the console's address, and talks to nobody but the console", () => {
  expect(at("/console/talk", "#key=sk_1&agent=tutor&origin=https%3A%2F%2Fshop.example")).toMatchObject({
    origin: "https://talk.example",
    key: null,
    keyComes: true,
    agent: "tutor",
  });
});
