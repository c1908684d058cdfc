import { runMatrix } from "./matrix.ts";
import { SPRING } from "./spring.ts";
import { SPRING_ROWS } from "./spring_rows.ts";

await runMatrix(SPRING, SPRING_ROWS);
