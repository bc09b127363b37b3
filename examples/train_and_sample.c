/* Trains a small hybrid model on text and lets it write, with the installed library alone:
 *
 *     cc train_and_sample.c -o train_and_sample $(pkg-config --cflags --libs sartor)
 *     ./train_and_sample TEXT FOLDER
 *
 * TEXT is a file or a folder of files; the model goes to FOLDER. Run again, it continues or, when
 * it was done, only writes. */
#include <sartor/sartor.h>
#include <stdio.h>

static void show(void *last, const sartor_progress *p) {
    int64_t *shown = last;
    if (p->step < *shown + 20) return;
    *shown = p->step;
    fprintf(stderr, "step %d of %d: %.2f bits per byte\n", (int)p->step, (int)p->steps,
            p->bits_per_byte);
}

int main(int argc, char **argv) {
    if (argc != 3) {
        fprintf(stderr, "usage: %s TEXT FOLDER\n", argv[0]);
        return 2;
    }
    const char *text[] = {argv[1]};
    sartor_train_options train;
    sartor_train_defaults(&train);
    train.arch = "(GConv-1 GMemless SA-3 GMemless)x2";
    train.sizes.width = 128;
    train.sizes.context = 128;
    train.text.paths = text;
    train.text.n_paths = 1;
    train.out = argv[2];
    train.steps = 120;
    int64_t shown = 0;
    train.progress = show;
    train.progress_user = &shown;

    sartor_generate_options generate;
    sartor_generate_defaults(&generate);
    generate.prompt = "The ";

    sartor_context *context = sartor_context_create();
    sartor_model *model = NULL;
    sartor_generation written = {0};
    sartor_measure measure;
    if (sartor_train(context, &train, &measure) == SARTOR_OK &&
        sartor_model_load(context, train.out, &model) == SARTOR_OK &&
        sartor_generate(context, model, &generate, &written) == SARTOR_OK) {
        printf("held-out text: %.2f bits per byte\n", measure.bits_per_byte);
        printf("%s%s\n", generate.prompt, written.text);
    } else
        fprintf(stderr, "%s\n", sartor_error(context));
    int failed = written.text == NULL;
    sartor_generation_release(&written);
    sartor_model_destroy(&model);
    sartor_context_destroy(&context);
    return failed;
}
