// The pages of WebAssembly's memory, as make_snapshot.mjs stores and load_pyodide.mjs restores them.
export const PAGE_BYTES = 4096;
const PAGE_WORDS = PAGE_BYTES / 4;

export function pageOf(memory, page) {
  return memory.subarray(page * PAGE_BYTES, (page + 1) * PAGE_BYTES);
}

// The sum of these pages' words, each times its odd place: so that it matters where a word is.
export function sumOf(words, pages) {
  let sum = 0;
  for (const page of pages) {
    for (let at = page * PAGE_WORDS; at < (page + 1) * PAGE_WORDS; at += 1) {
      sum = (sum + Math.imul(words[at], at | 1)) | 0;
    }
  }
  return sum >>> 0;
}
