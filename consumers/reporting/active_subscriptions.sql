/* headwater
key = ["town", "plan"]
*/
-- What schools pay for today, by the town they are in and the plan they have.
SELECT
    s.town,
    u.[plan],
    COUNT(*)              AS subscriptions,
    COUNT(DISTINCT u.urn) AS schools,
    SUM(u.seats)          AS seats,
    SUM(u.price)          AS price_per_year
FROM staging.subscription AS u
INNER JOIN staging.school AS s ON s.urn = u.urn
WHERE u.active = 1
GROUP BY s.town, u.[plan]
