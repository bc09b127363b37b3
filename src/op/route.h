/* What the operators of a mixture of experts agree on. */
#ifndef SR_OP_ROUTE_H
#define SR_OP_ROUTE_H

#include "op/op.h"

enum { SR_ROUTE_EXPERTS = 64 }; /* the most that a router chooses from */

#endif
