import { runMatrix } from "../../../behaviour/providers/matrix.ts";
import { SPRING } from "../../../behaviour/providers/spring.ts";
import { SPRING_ROWS } from "../../../behaviour/providers/spring_rows.ts";

await runMatrix(SPRING, SPRING_ROWS);
