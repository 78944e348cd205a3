-module(t_zlib).
-include("conf.hrl").

main() ->
    Text = [["line ", integer_to_list(N rem 97), "\n"] || N <- seq(1, 5000)],
    Flat = iolist_to_binary(Text),
    <<_:3, Skewed/bits>> = <<5:3, Flat/binary>>,
    ?C(zlib:compress(<<>>)),
    ?C(zlib:compress("abc")),
    ?C(zlib:compress(Text)),
    ?C(zlib:zip(Text)),
    ?C(zlib:gzip(Text)),
    ?C(zlib:uncompress(zlib:compress(Text)) =:= Flat),
    ?C(zlib:unzip([zlib:zip(Text)]) =:= Flat),
    ?C(zlib:gunzip(zlib:gzip(Text)) =:= Flat),
    ?C(zlib:uncompress(zlib:compress(Skewed)) =:= Flat),
    ?C(byte_size(zlib:uncompress(zlib:compress(<<0:8000000>>)))),
    ?C(zlib:gunzip([zlib:gzip("abc"), zlib:gzip("def")])),
    ?C(zlib:unzip([zlib:zip("abc"), 7])),
    ?C(zlib:uncompress([zlib:compress("abc"), 7])),
    [?CASE("error of " ++ atom_to_list(F), error_of(F, X))
     || F <- [compress, zip, gzip], X <- [abc, [256], <<1:3>>, ["a" | b]]],
    [?CASE("error of " ++ atom_to_list(F), error_of(F, X))
     || F <- [uncompress, unzip, gunzip], X <- [abc, [256], <<>>, <<1, 2, 3>>]],
    ?C(error_of(uncompress, binary:part(zlib:compress(Text), 0, 50))),
    ?C(error_of(uncompress, [zlib:gzip(Text)])),
    ?C(error_of(gunzip, [zlib:gzip("abc"), 1])),
    ok.

error_of(F, X) ->
    try zlib:F(X) catch error:R -> R end.
