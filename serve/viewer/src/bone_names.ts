// Names of bones as a reader says them.

/** `vertebrae_L3` as "Vertebra L3", `rib_left_7` as "Rib 7, left", `hip_right` as "Hip, right". */
export function spoken(name: string): string {
  const words = name.replace(/^vertebrae_/, "vertebra_").split("_");
  const side = words.find((word) => word === "left" || word === "right");
  const text = words.filter((word) => word !== side).join(" ");
  return text.charAt(0).toUpperCase() + text.slice(1) + (side ? `, ${side}` : "");
}

export function counted(bones: number): string {
  return bones === 1 ? "1 bone" : `${bones} bones`;
}
