const RELOADED = "winnow.reloaded";
const RELOAD_AGAIN = 60_000;
const TRY_AGAIN = 2_000;

/** What loading leans on; tests bring their own. */
export interface Surroundings {
  answers: () => Promise<boolean>;
  wait: () => Promise<void>;
  reload: () => void;
}

const BROWSER: Surroundings = {
  answers: () =>
    fetch("/", { method: "HEAD", cache: "no-store" }).then(
      (response) => response.ok,
      () => false,
    ),
  wait: () => new Promise((resolve) => setTimeout(resolve, TRY_AGAIN)),
  reload: () => location.reload(),
};

/**
 * Load a part of the page's own code. While the server is away it is tried again; where the server is there and the
 * code is not, the server has another build by now, and one reload brings that.
 */
export function patiently<Part>(load: () => Promise<Part>, { answers, wait, reload }: Surroundings = BROWSER): () => Promise<Part> {
  const attempt = async (): Promise<Part> => {
    try {
      return await load();
    } catch (error) {
      if ((await answers()) && !(await load().then(() => true, () => false))) {
        if (reloadedJustNow()) throw error;
        sessionStorage.setItem(RELOADED, String(Date.now()));
        reload();
      }
      await wait();
      return attempt();
    }
  };
  return attempt;
}

const reloadedJustNow = () => Date.now() - Number(sessionStorage.getItem(RELOADED) ?? 0) < RELOAD_AGAIN;
