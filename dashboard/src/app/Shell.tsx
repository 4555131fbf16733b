import { Suspense, useEffect, useRef } from "react";
import { Link, Redirect, Route, Switch, useLocation } from "wouter";
import { Boundary, Button, Empty, Icon, PageSkeleton } from "@/components";
import { ConnectionLine } from "./ConnectionLine";
import { PAGES } from "./pages";
import { useTheme, type Theme } from "./theme";

const THEME_NAMES: Record<Theme, string> = { system: "As the system", light: "Light", dark: "Dark" };
const THEME_ICONS: Record<Theme, string> = {
  system: "M3 4h18v12H3zM8 20h8M12 16v4",
  light: "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM12 2v3m0 14v3M2 12h3m14 0h3M5 5l2 2m10 10l2 2M5 19l2-2M17 7l2-2",
  dark: "M20 14.5A8.5 8.5 0 0 1 9.5 4 8.5 8.5 0 1 0 20 14.5z",
};

/** What surrounds every page: where one is, where one can go, and whether the server is there. */
export function Shell({ onForgetKey }: { onForgetKey: () => void }) {
  const main = useFocusOnNewPage();
  const [theme, nextTheme] = useTheme();
  return (
    <div className="shell">
      <a className="skip-link" href="#content" onClick={() => main.current?.focus()}>
        Skip to the content
      </a>
      <header className="top-bar">
        <Link href="/campaigns" className="brand">
          Winnow
        </Link>
        <nav aria-label="Pages" className="pages">
          {PAGES.map(({ path, name, icon }) => (
            <PageLink key={path} path={path} name={name} icon={icon} />
          ))}
        </nav>
        <div className="top-tools">
          <ConnectionLine />
          <Button kind="quiet" onClick={nextTheme} aria-label={`Colours: ${THEME_NAMES[theme]}`} title={`Colours: ${THEME_NAMES[theme]}`}>
            <Icon path={THEME_ICONS[theme]} />
          </Button>
          <Button kind="quiet" onClick={onForgetKey}>
            Leave
          </Button>
        </div>
      </header>
      <main id="content" ref={main} tabIndex={-1}>
        <Pages />
      </main>
    </div>
  );
}

function Pages() {
  const [location] = useLocation();
  return (
    <Boundary key={location.split("/")[1]}>
      <Suspense fallback={<PageSkeleton />}>
        <Switch>
          <Route path="/">
            <Redirect to="/campaigns" replace />
          </Route>
          {PAGES.map(({ path, Content }) => (
            <Route key={path} path={`${path}/*?`} component={Content} />
          ))}
          <Route>
            <Empty title="There is no such page">
              <Link href="/campaigns">Go to the campaigns</Link>
            </Empty>
          </Route>
        </Switch>
      </Suspense>
    </Boundary>
  );
}

function PageLink({ path, name, icon }: { path: string; name: string; icon: string }) {
  const [location] = useLocation();
  const current = location === path || location.startsWith(`${path}/`);
  return (
    <Link href={path} aria-current={current ? "page" : undefined}>
      <Icon path={icon} />
      <span>{name}</span>
    </Link>
  );
}

/** A new page is announced by moving the focus to it; a changed filter is not a new page. */
function useFocusOnNewPage() {
  const main = useRef<HTMLElement>(null);
  const [location] = useLocation();
  const shown = useRef(location);
  useEffect(() => {
    if (shown.current === location) return;
    shown.current = location;
    scrollTo(0, 0);
    main.current?.focus({ preventScroll: true });
  }, [location]);
  return main;
}
