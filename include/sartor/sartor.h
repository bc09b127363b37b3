/* sartor: synthesise, probe, train, grow and ship tailored sequence-model architectures. */
#ifndef SARTOR_SARTOR_H
#define SARTOR_SARTOR_H

#include <sartor/architecture.h>
#include <sartor/context.h>
#include <sartor/grow.h>
#include <sartor/model.h>
#include <sartor/train.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The library's version, for example "0.1.0". */
const char *sartor_version(void);

#ifdef __cplusplus
}
#endif
#endif
