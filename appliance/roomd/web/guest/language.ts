// The language that the page speaks, and putting its words into the page.
//
// An element says what it shows by `data-text`, `data-label` (aria-label) or `data-title`; `data-fill`
// names what is filled in. A change of the language goes through all of them.

import { ENGLISH } from "./texts_en.js";
import type { TextKey, Texts } from "./texts_en.js";
import { CHINESE } from "./texts_zh.js";

export type Language = "en" | "zh";

const TEXTS: Record<Language, Texts> = { en: ENGLISH, zh: CHINESE };

/** The first of the wanted languages that the page speaks; English where it speaks none. */
export function chooseLanguage(remembered: string | null, wanted: readonly string[]): Language {
  if (remembered === "en" || remembered === "zh") return remembered;
  for (const tag of wanted) {
    const language = tag.toLowerCase().split("-")[0];
    if (language === "en" || language === "zh") return language;
  }
  return "en";
}

/** The sentence, with what is filled in. */
export function sentence(language: Language, key: TextKey, fill: Record<string, string> = {}): string {
  return TEXTS[language][key].replace(/\{(\w+)\}/g, (hole: string, name: string) => fill[name] ?? hole);
}

function isTextKey(key: string): key is TextKey {
  return Object.hasOwn(ENGLISH, key);
}

export class Speech {
  #language: Language;

  constructor(language: Language) {
    this.#language = language;
  }

  get language(): Language {
    return this.#language;
  }

  text(key: TextKey, fill: Record<string, string> = {}): string {
    return sentence(this.#language, key, fill);
  }

  /** Shows the sentence in the element, in whatever language the page has from now on. */
  show(element: HTMLElement, key: TextKey, fill: Record<string, string> = {}): void {
    element.dataset.text = key;
    element.dataset.fill = JSON.stringify(fill);
    const shown = this.text(key, fill);
    // Writing the same words again would make screen readers say them again.
    if (element.textContent !== shown) element.textContent = shown;
  }

  /** Shows nothing in the element. */
  clear(element: HTMLElement): void {
    delete element.dataset.text;
    delete element.dataset.fill;
    if (element.textContent !== "") element.textContent = "";
  }

  /** Speaks another language from now on. */
  change(language: Language): void {
    this.#language = language;
    this.apply();
  }

  /** Puts the words into all elements that name some. */
  apply(): void {
    document.documentElement.lang = this.#language === "zh" ? "zh-CN" : "en";
    for (const element of document.querySelectorAll<HTMLElement>("[data-text], [data-label], [data-title]")) {
      const { text, label, title } = element.dataset;
      const fill = JSON.parse(element.dataset.fill ?? "{}") as Record<string, string>;
      if (text !== undefined && isTextKey(text)) element.textContent = this.text(text, fill);
      if (label !== undefined && isTextKey(label)) element.setAttribute("aria-label", this.text(label, fill));
      if (title !== undefined && isTextKey(title)) element.title = this.text(title, fill);
    }
  }
}
