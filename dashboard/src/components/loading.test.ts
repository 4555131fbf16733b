import { beforeEach, expect, it, vi } from "vitest";
import { patiently } from "./loading";

const failing = (times: number) => {
  let left = times;
  return vi.fn(() => (left-- > 0 ? Promise.reject(new Error("gone")) : Promise.resolve("part")));
};

const around = (answers: boolean) => ({ answers: () => Promise.resolve(answers), wait: vi.fn(() => Promise.resolve()), reload: vi.fn() });

beforeEach(() => sessionStorage.clear());

it("tries again for as long as the server is away", async () => {
  const surroundings = around(false);
  expect(await patiently(failing(5), surroundings)()).toBe("part");
  expect(surroundings.wait).toHaveBeenCalledTimes(5);
  expect(surroundings.reload).not.toHaveBeenCalled();
});

it("does not reload for what a second try brings", async () => {
  const surroundings = around(true);
  expect(await patiently(failing(1), surroundings)()).toBe("part");
  expect(surroundings.reload).not.toHaveBeenCalled();
});

it("reloads once where the server is there and has another build", async () => {
  const surroundings = around(true);
  await expect(patiently(failing(99), surroundings)()).rejects.toThrow("gone");
  expect(surroundings.reload).toHaveBeenCalledTimes(1);
});
