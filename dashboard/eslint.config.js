import js from "@eslint/js";
import hooks from "eslint-plugin-react-hooks";
import globals from "globals";
import { readdirSync } from "node:fs";
import tseslint from "typescript-eslint";

const features = readdirSync(new URL("src/features", import.meta.url));

const forbid = (files, group, message) => ({
  files,
  rules: { "no-restricted-imports": ["error", { patterns: [{ group, message }] }] },
});

const otherFeatures = (feature) =>
  features.filter((other) => other !== feature).flatMap((other) => [`@/features/${other}`, `@/features/${other}/**`]);

export default tseslint.config(
  { ignores: ["node_modules", "src/graph/generated", "coverage"] },
  js.configs.recommended,
  {
    files: ["**/*.{ts,tsx}"],
    extends: [tseslint.configs.strictTypeChecked, tseslint.configs.stylisticTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    plugins: { "react-hooks": hooks },
    rules: {
      ...hooks.configs.recommended.rules,
      "@typescript-eslint/consistent-type-definitions": "off", // an interface or a type, as it reads better
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true }],
      "@typescript-eslint/no-confusing-void-expression": ["error", { ignoreArrowShorthand: true }],
    },
  },
  // Arrows point one way: app -> features -> components -> graph; a feature knows no other feature.
  ...features.map((feature) =>
    forbid(
      [`src/features/${feature}/**`],
      [...otherFeatures(feature), "../**", "@/app/**"],
      "A feature imports components and graph, never another feature nor the shell.",
    ),
  ),
  forbid(
    ["src/components/**", "src/graph/**"],
    ["@/features/**", "@/app/**", "**/features/**", "**/app/**"],
    "Components and the graph's client know neither features nor the shell.",
  ),
  { files: ["tools/**", "*.js"], languageOptions: { globals: globals.node } },
);
