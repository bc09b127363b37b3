/* The report of a study, or of training runs: one self-contained HTML page.
 *
 * Input is one JSON object; the page embeds it with the charting library and draws in the reader's
 * browser, without a network. All numbers are plain (bytes, counts, seconds); null: not known.
 *
 * {"version": 1, "title": str, "made": str, "sartor": str,
 *  "settings": {name: str|number|bool},
 *  "state": {"done": int, "running": int, "failed": int, "waiting": int},
 *  "objectives": [{"name": str, "unit": str, "summary": str, "log": bool, "reference": x}],
 *  "measures": [name],            every value that trials may have, objectives first
 *  "trials": [{"trial": int, "id": str, "generation": int, "genome": str, "names": str,
 *     "state": "open"|"done"|"failed", "reason": str|null, "front": bool, "feasible": bool,
 *     "baseline": str|null, "operator": str, "parents": [int], "mutations": int,
 *     "values": {name: x},
 *     "training": {"tokens": int, "inherited": share of its parameters, "stopped": share of its
 *        budget, "lineage_trials": int, "lineage_tokens": int, "lineage_flops": x}}],
 *  "hypervolume": [x|null],       per generation
 *  "training_flops": [x|null],    of all trials up to the end of the generation
 *  "classes": [{"generation": int, "counts": {class: int}}],   over the trials of the generation
 *  "backbones": {trial: [{"class": str, "family": "SA"|"Rec"|"GConv"|"GMemless",
 *     "weights_from": int|null,   the LIV (from 0) whose featurizer weights it uses
 *     "reads": [{"feature": str, "from": int}]}]},             front members and baselines
 *  "curves": {trial: [[tokens, loss|null, bpb|null]]},         front members and baselines
 *  "finals": [as in sartor_finals()]}
 *
 * Of scaling laws:
 * {"version": 1, "purpose": "scale", "title", "made", "sartor", "settings", "state": as above,
 *  "results", "shared": as sartor_scale() answers; every law that there is with
 *     "band": [[x, y, low|null, high|null]]}
 *
 * Of a MAD suite:
 * {"version": 1, "purpose": "mad", "title", "made", "sartor", "settings", "state": as above,
 *  "results": as sartor_mad() answers,
 *  "published": [{"source": str, "models": [{"arch": str, "tasks": {name: x}, "mad": x}]}]}
 *
 * Of training runs, as they stand:
 * {"version": 1, "purpose": "run", "made", "sartor": as above,
 *  "runs": [{"name": the folder,
 *     "settings": {name: str}, "model": {"names": str, "genome": str, "livs", "width", "head_dim",
 *     "context", "vocab", "params", "flops_per_token", "cache": x}, "planned": steps: what the last
 *     checkpoint or the model says, absent without one,
 *     "final": {"step", "tokens", "seconds", "bpb": x}, the measure at the end; absent before
 *     "steps", "tokens", "seconds": done,
 *     "first_params": int|null, "params": int|null, at the start and now,
 *     "points": as sr_thin_json(), with bpb, norm and speed (tokens per second),
 *     "validation": likewise, with bpb,
 *     "growth": [{"step": steps done before, "tokens", "seconds", "grown": str|null,
 *        "from": int|null, "params": before and from then on}]}]}
 */
#ifndef SR_REPORT_REPORT_H
#define SR_REPORT_REPORT_H

#include "base/context.h"
#include "study/study.h"
#include <jansson.h>

/* Writes the page that fits the data's purpose atomically. Text from the study is data, never
 * markup. */
sartor_status sr_report_write(sartor_context *ctx, const json_t *data, const char *path);

/* The data of a scaling study, a new reference; inside sr_study_begin_reading(). */
sartor_status sr_report_scale(sartor_context *ctx, sr_study *study, json_t **data);

/* Likewise of a MAD study. */
sartor_status sr_report_mad(sartor_context *ctx, sr_study *study, json_t **data);

/* Now, as text for "made". */
enum { SR_REPORT_TIME = 40 };
const char *sr_report_time(char text[SR_REPORT_TIME]);

#endif
