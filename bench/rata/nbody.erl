-module(nbody).
-export([run/1]).

run(N) -> trunc(energy(steps(N, bodies())) * 1000000000.0).

bodies() ->
    [{0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 39.47841760435743},
     {4.84143144246472, -1.1603200440274284, -0.10362204447112311, 0.606326392995832,
      2.81198684491626, -0.02521836165988763, 0.03769367487038949},
     {8.34336671824458, 4.124798564124305, -0.4035234171143214, -1.0107743461787924,
      1.8256623712304119, 0.008415761376584154, 0.011286326131968767},
     {12.894369562139131, -15.111151401698631, -0.22330757889265573, 1.0827910064415354,
      0.8687130181696082, -0.010832637401363636, 0.0017237240570597112},
     {15.379697114850917, -25.919314609987964, 0.17925877295037118, 0.979090732243898,
      0.5946989986476762, -0.034755955504078104, 0.0020336868699246304}].

steps(0, Bs) -> Bs;
steps(N, Bs) -> steps(N - 1, advance(Bs)).

advance([]) -> [];
advance([B | Rest]) ->
    {Moved, Others} = pull(B, Rest, []),
    [push(Moved) | advance(Others)].

pull(B, [], Done) -> {B, turn(Done, [])};
pull({X, Y, Z, VX, VY, VZ, M}, [{X2, Y2, Z2, VX2, VY2, VZ2, M2} | Rest], Done) ->
    DX = X - X2,
    DY = Y - Y2,
    DZ = Z - Z2,
    D2 = DX * DX + DY * DY + DZ * DZ,
    Mag = 0.01 / (D2 * math:sqrt(D2)),
    A = M2 * Mag,
    C = M * Mag,
    pull({X, Y, Z, VX - DX * A, VY - DY * A, VZ - DZ * A, M}, Rest,
         [{X2, Y2, Z2, VX2 + DX * C, VY2 + DY * C, VZ2 + DZ * C, M2} | Done]).

push({X, Y, Z, VX, VY, VZ, M}) ->
    {X + 0.01 * VX, Y + 0.01 * VY, Z + 0.01 * VZ, VX, VY, VZ, M}.

turn([], To) -> To;
turn([B | Rest], To) -> turn(Rest, [B | To]).

energy(Bs) -> sum(Bs, 0.0).
sum([], E) -> E;
sum([{X, Y, Z, VX, VY, VZ, M} | Rest], E) ->
    sum(Rest, pairs(X, Y, Z, M, Rest, E + 0.5 * M * (VX * VX + VY * VY + VZ * VZ))).

pairs(_, _, _, _, [], E) -> E;
pairs(X, Y, Z, M, [{X2, Y2, Z2, _, _, _, M2} | Rest], E) ->
    DX = X - X2,
    DY = Y - Y2,
    DZ = Z - Z2,
    pairs(X, Y, Z, M, Rest, E - M * M2 / math:sqrt(DX * DX + DY * DY + DZ * DZ)).
