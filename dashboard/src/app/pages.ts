import { lazy, type ComponentType, type LazyExoticComponent } from "react";
import { patiently } from "@/components";

export interface Page {
  path: string;
  name: string;
  icon: string;
  Content: LazyExoticComponent<ComponentType>;
}

/** The pages, in the order of the navigation; each is a feature, loaded when first opened. */
export const PAGES: Page[] = [
  {
    path: "/campaigns",
    name: "Campaigns",
    icon: "M4 20V10m6 10V4m6 16v-7m4 7H2",
    Content: lazy(patiently(() => import("@/features/campaigns"))),
  },
  {
    path: "/tests",
    name: "Tests",
    icon: "M12 3v18M5 7h14M5 7l-3 7h6L5 7zm14 0l-3 7h6l-3-7z",
    Content: lazy(patiently(() => import("@/features/tests"))),
  },
  {
    path: "/recommendations",
    name: "Recommendations",
    icon: "M9 18h6m-5 3h4M12 3a6 6 0 0 0-4 10.5c.8.8 1 1.5 1 2.5h6c0-1 .2-1.7 1-2.5A6 6 0 0 0 12 3z",
    Content: lazy(patiently(() => import("@/features/recommendations"))),
  },
];
