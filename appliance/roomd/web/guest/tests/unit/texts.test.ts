import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";

import { chooseLanguage, sentence } from "../../language.js";
import { ENGLISH } from "../../texts_en.js";
import type { TextKey } from "../../texts_en.js";
import { CHINESE } from "../../texts_zh.js";

const KEYS = Object.keys(ENGLISH) as TextKey[];
const holes = (text: string): string[] => [...text.matchAll(/\{\w+\}/g)].map(String).sort();

test("every sentence is there in both languages, with the same holes", () => {
  assert.deepEqual(Object.keys(CHINESE).sort(), [...KEYS].sort());
  for (const key of KEYS) {
    assert.notEqual(CHINESE[key].trim(), "", key);
    assert.deepEqual(holes(CHINESE[key]), holes(ENGLISH[key]), key);
  }
});

test("Chinese sentences are Chinese, but for the name of the other language", () => {
  for (const key of KEYS) {
    if (key === "language_other") continue;
    assert.match(CHINESE[key], /\p{Script=Han}/u, key);
  }
});

test("every sentence that the page's HTML names is there", async () => {
  const page = await readFile(new URL("../../../join.html", import.meta.url), "utf8");
  const named = [...page.matchAll(/data-(?:text|label|title)="(\w+)"/g)].map((match) => match[1] ?? "");
  assert.ok(named.length > 30);
  for (const key of named) assert.ok(Object.hasOwn(ENGLISH, key), key);
});

test("holes are filled, and a hole without a filling stays", () => {
  assert.equal(sentence("en", "title_in_room", { room: "Board room" }), "Board room – meeting");
  assert.equal(sentence("zh", "title_in_room", { room: "{room}" }), "{room} – 会议");
  assert.equal(sentence("en", "title_in_room"), "{room} – meeting");
});

test("the language is the remembered one, else the first wanted one that there is", () => {
  assert.equal(chooseLanguage("zh", ["en-GB"]), "zh");
  assert.equal(chooseLanguage("fr", ["de", "zh-Hant-TW", "en"]), "zh");
  assert.equal(chooseLanguage(null, ["de-CH", "en-US", "zh"]), "en");
  assert.equal(chooseLanguage(null, []), "en");
});
