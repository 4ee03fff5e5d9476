// Takes the place of zarrita, which NiiVue imports and this page never reaches: it reads NIfTI only.
function unavailable(): never {
  throw new Error("this page reads NIfTI only");
}

export { unavailable as get, unavailable as open, unavailable as root, unavailable as slice };
export class FetchStore {
  constructor() {
    unavailable();
  }
}
